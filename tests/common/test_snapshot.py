"""A whole model as bytes: the same bytes for the same model, and nothing else passes for one."""

import json

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load

from thinwire.common import checksum
from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.snapshot import Snapshot, SnapshotError, pack_snapshot, unpack_snapshot
from thinwire.common.statistics import pack_statistics, unpack_statistics

LAYOUT = Layout((TensorSpec("conv.weight", (3, 4)), TensorSpec("bias", (3,)), TensorSpec("scale", ())))
BUFFERS = Layout((TensorSpec("mean", (3,)),))
NONE = Layout(())
WEIGHTS = np.arange(16, dtype=np.float32) / 7
MEAN = np.array([1, 2, 3], np.float32)
SNAPSHOT = Snapshot(12, WEIGHTS, MEAN)
PACKED = pack_snapshot(SNAPSHOT, LAYOUT, BUFFERS)
RAW = zstandard.ZstdDecompressor().decompress(PACKED)


def squeeze(raw: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(raw)


def raw_with(header: dict[str, object], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def header() -> dict[str, dict[str, object]]:
    length = int.from_bytes(RAW[:8], "little")
    parsed: dict[str, dict[str, object]] = json.loads(RAW[8 : 8 + length])
    return parsed


BODY = RAW[8 + int.from_bytes(RAW[:8], "little") :]


def test_a_snapshot_comes_back_whole() -> None:
    found = unpack_snapshot(PACKED, LAYOUT, BUFFERS)
    assert found.version == 12
    assert np.array_equal(found.weights_P, WEIGHTS)
    assert np.array_equal(found.buffers_B, MEAN)


def test_a_model_without_statistics_comes_back_too() -> None:
    packed = pack_snapshot(Snapshot(1, WEIGHTS, np.zeros(0, np.float32)), LAYOUT, NONE)
    assert unpack_snapshot(packed, LAYOUT, NONE).buffers_B.size == 0


def test_the_same_model_has_the_same_bytes() -> None:
    """Whoever goes on with a snapshot that another call packed must find the bytes where they were."""
    assert {pack_snapshot(SNAPSHOT, LAYOUT, BUFFERS) for _ in range(20)} == {PACKED}


def test_anyone_can_read_it_with_the_library() -> None:
    tensors = load(RAW)
    assert sorted(tensors) == ["bias", "buffer:mean", "conv.weight", "scale"]
    assert tensors["conv.weight"].shape == (3, 4)
    assert header()["__metadata__"] == {
        "checksum": str(checksum.full(WEIGHTS)), "layout_hash": LAYOUT.hash.hex(), "version": "12",
    }  # fmt: skip
    assert len(RAW[8:]) % 8 == len(BODY) % 8, "the tensors begin at a multiple of 8"


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_flipped_byte_never_passes(place: int, flip: int) -> None:
    damaged = bytearray(PACKED)
    damaged[place] ^= flip
    try:
        found = unpack_snapshot(bytes(damaged), LAYOUT, BUFFERS)
    except SnapshotError:
        return
    # Some flips only re-declare what the frame's header says about itself; the model is the same.
    assert (found.version, found.weights_P.tolist(), found.buffers_B.tolist()) == (12, WEIGHTS.tolist(), MEAN.tolist())


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_a_file_changed_before_it_was_squeezed_keeps_its_parameters_or_is_refused(place: int, flip: int) -> None:
    changed = bytearray(RAW)
    changed[place] ^= flip
    try:
        found = unpack_snapshot(squeeze(bytes(changed)), LAYOUT, BUFFERS)
    except SnapshotError:
        return
    assert np.array_equal(found.weights_P, WEIGHTS)


@given(st.integers(0, len(PACKED) - 1))
def test_a_cut_snapshot_is_refused(length: int) -> None:
    with pytest.raises(SnapshotError):
        unpack_snapshot(PACKED[:length], LAYOUT, BUFFERS)


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    for packed in (noise, squeeze(noise)):
        with pytest.raises(SnapshotError):
            unpack_snapshot(packed, LAYOUT, BUFFERS)


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(squeeze(bytes(2_000_000)), id="a bomb that declares its size"),
        pytest.param(PACKED + PACKED, id="two frames"),
        pytest.param(squeeze((1 << 60).to_bytes(8, "little") + b"{}"), id="a header longer than the file"),
        pytest.param(squeeze(raw_with({}, BODY)), id="no metadata"),
        pytest.param(squeeze(raw_with({"__metadata__": {"version": "x"}}, BODY)), id="no version"),
        pytest.param(squeeze(RAW[: -len(BODY)] + bytes(len(BODY))), id="other weights than the checksum's"),
        pytest.param(pack_snapshot(SNAPSHOT, Layout((TensorSpec("w", (16,)),)), BUFFERS), id="another layout"),
        pytest.param(
            pack_snapshot(Snapshot(1, WEIGHTS, np.zeros(0, np.float32)), LAYOUT, NONE), id="statistics are missing"
        ),
    ],
)
def test_a_snapshot_that_lies_is_refused(packed: bytes) -> None:
    with pytest.raises(SnapshotError):
        unpack_snapshot(packed, LAYOUT, BUFFERS)


def test_a_frame_that_hides_its_size_is_refused_before_it_is_inflated() -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(50_000_000))
    with pytest.raises(SnapshotError, match="declares"):
        unpack_snapshot(bomb, LAYOUT, BUFFERS)


@pytest.mark.parametrize("where", ["weights", "statistics"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(where: str, bad: float) -> None:
    weights_P, buffers_B = WEIGHTS.copy(), MEAN.copy()
    (weights_P if where == "weights" else buffers_B)[1] = bad
    packed = pack_snapshot(Snapshot(1, weights_P, buffers_B), LAYOUT, BUFFERS)
    with pytest.raises(SnapshotError, match="finite"):
        unpack_snapshot(packed, LAYOUT, BUFFERS)


@pytest.mark.parametrize("statistics", [np.array([1, -2, 3e30], np.float32), np.zeros(3, np.float32)])
def test_statistics_come_back_bit_for_bit(statistics: NDArray[np.float32]) -> None:
    assert np.array_equal(unpack_statistics(pack_statistics(statistics, BUFFERS, 4), BUFFERS), statistics)


def test_no_statistics_take_no_bytes() -> None:
    assert pack_statistics(np.zeros(0, np.float32), NONE, 4) == b""
