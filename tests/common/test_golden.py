"""Bytes that were written once are read for ever: tests/golden/*.bin are blobs of format 1.

To rewrite them after a deliberate change of the format (which then needs a new version number), run

    python tests/common/test_golden.py
"""

from pathlib import Path

import numpy as np
import pytest
import zstandard

from thinwire.common.codec import Limits, Packet, ValueCode, pack, quantise, unpack
from thinwire.common.codec.mask import drawn, seed_of

pytestmark = pytest.mark.usefixtures("each_loops")

FOLDER = Path(__file__).parents[1] / "golden"
HASH = bytes.fromhex("0123456789abcdef")
# Another zstd may pack the same bytes otherwise; all must be able to read these.
WRITER = (1, 5, 7)


def packet(code: ValueCode, size: int, kept: int, checksum: int | None = None) -> Packet:
    """A packet out of integer arithmetic alone, so that it is the same with every numpy."""
    draw_K = np.arange(1, kept + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(40)
    gap_K = 1 + (draw_K % np.uint64(max(1, size // kept * 2 - 2))).astype(np.int64)
    index_K = np.cumsum(gap_K) % size if kept < size else np.arange(size)
    value_K = np.ldexp(draw_K.astype(np.float32) - np.float32(1 << 23), -30)
    return Packet(HASH, 41, size, np.unique(index_K), quantise(value_K[: np.unique(index_K).size], code), checksum)


def masked(code: ValueCode, size: int, kept: int) -> Packet:
    """The same values, at positions drawn from a seed."""
    value_K = packet(code, kept, kept).quantised.value_K
    seed = seed_of(5, 41)
    return Packet(HASH, 41, size, drawn(seed, kept, size), quantise(value_K, code), seed=seed)


GOLDEN = {
    "log3-bytes": packet(ValueCode.LOG3, 60_000, 600),
    "log3-bytes-checksum": packet(ValueCode.LOG3, 60_000, 600, checksum=0xFEDCBA9876543210),
    "log3-words": packet(ValueCode.LOG3, 400_000, 500),
    "log3-small": packet(ValueCode.LOG3, 600, 6),
    "fp16-bytes": packet(ValueCode.FP16, 20_000, 600),
    "fp16-mask": masked(ValueCode.FP16, 20_000, 600),
    "fp32-dense": packet(ValueCode.FP32, 300, 300, checksum=1),
}


def path(name: str) -> Path:
    return FOLDER / f"{name}.bin"


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_blob_is_read_as_it_was_meant(name: str) -> None:
    meant = GOLDEN[name]
    received = unpack(path(name).read_bytes(), Limits(HASH, meant.size, meant.index_K.size))
    np.testing.assert_array_equal(received.index_K, meant.index_K)
    assert received.value_K.tobytes() == meant.quantised.value_K.tobytes()
    assert (received.base, received.checksum) == (41, meant.checksum)


@pytest.mark.skipif(zstandard.ZSTD_VERSION != WRITER, reason=f"the golden blobs were written with zstd {WRITER}")
@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_blob_is_written_again_byte_for_byte(name: str) -> None:
    assert pack(GOLDEN[name]) == path(name).read_bytes()


def test_no_golden_blob_is_without_its_test() -> None:
    assert {found.stem for found in FOLDER.glob("*.bin")} == set(GOLDEN)


if __name__ == "__main__":
    for name, sent in GOLDEN.items():
        path(name).write_bytes(pack(sent))
