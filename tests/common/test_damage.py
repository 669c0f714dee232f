"""Whatever arrives, the codec refuses it with a CodecError or returns something well-formed, within its memory."""

import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import zstandard

from thinwire.common.codec import CodecError, Limits, Packet, Reason, ValueCode, pack, quantise, unpack
from thinwire.common.codec.columns import MAX_WINDOW
from thinwire.common.codec.mask import drawn

pytestmark = pytest.mark.usefixtures("each_loops")

HASH = b"a layout"
SIZE = 4000
MAX_KEPT = 400
LIMITS = Limits(HASH, SIZE, MAX_KEPT, max_bytes=1 << 16)
FIELDS = {
    "magic": (0, "4s"), "version": (4, "B"), "flags": (5, "B"), "index": (6, "B"), "value": (7, "B"),
    "layout": (8, "8s"), "base": (16, "Q"),
    "size": (24, "I"), "kept": (28, "I"), "gaps": (32, "I"), "packed_gaps": (36, "I"),
    "packed_high": (40, "I"), "packed_values": (44, "I"), "book": (48, "8f"),
}  # fmt: skip
NUMBERS = ["size", "kept", "gaps", "packed_gaps", "packed_high", "packed_values"]


def sealed(body: bytes) -> bytes:
    """A blob whose CRC is right, so that it gets past it."""
    return body + struct.pack("<I", zlib.crc32(body))


def made(code: ValueCode = ValueCode.LOG3, kept: int = 200, checksum: int | None = None) -> bytes:
    rng = np.random.default_rng(kept)
    index_K = np.sort(rng.choice(SIZE, kept, replace=False))
    quantised = quantise(rng.standard_normal(kept).astype(np.float32), code)
    return pack(Packet(HASH, 7, SIZE, index_K, quantised, checksum))


def masked(kept: int = 200, code: ValueCode = ValueCode.LOG3) -> bytes:
    """A blob whose positions are drawn from a seed."""
    value_K = np.random.default_rng(kept).standard_normal(kept).astype(np.float32)
    return pack(Packet(HASH, 7, SIZE, drawn(11, kept, SIZE), quantise(value_K, code), seed=11))


def lie(blob: bytes, **fields: object) -> bytes:
    """The blob with other values in its header."""
    body = bytearray(blob[:-4])
    for name, value in fields.items():
        offset, form = FIELDS[name]
        struct.pack_into("<" + form, body, offset, *(value if isinstance(value, tuple) else (value,)))
    return sealed(bytes(body))


def forged(gaps: bytes, values: bytes, raw: int = 7) -> bytes:
    """A blob made by hand: LOG3, bytes as gaps, 4 values, columns as given; flag bits say which of them are raw."""
    units = len(gaps) if raw & 1 else 4
    counts = (SIZE, 4, units, len(gaps), 0, len(values))
    head = struct.pack("<4sBBBB8sQ6I8f", b"TWB1", 1, raw, 1, 1, HASH, 0, *counts, *range(8))
    return sealed(head + gaps + values)


def framed(gaps: bytes) -> bytes:
    """A forged blob whose gap column says that it is a zstd frame of 4 bytes."""
    return forged(gaps, TWO, raw=6)


def frame(size: int, blocks: bytes, window: int | None = None, dictionary: int = 0) -> bytes:
    """A zstd frame made by hand (RFC 8878): a declared size, and the blocks as given."""
    single = window is None
    descriptor = 3 << 6 | single << 5 | (1 if dictionary else 0)
    head = bytes([descriptor]) + (b"" if window is None else bytes([window]))
    return b"\x28\xb5\x2f\xfd" + head + (bytes([dictionary]) if dictionary else b"") + struct.pack("<Q", size) + blocks


def raw_block(content: bytes, last: bool = True) -> bytes:
    return (len(content) << 3 | last).to_bytes(3, "little") + content


def run_block(size: int, last: bool = True) -> bytes:
    """Four bytes that inflate to `size`."""
    return (size << 3 | 1 << 1 | last).to_bytes(3, "little") + b"\0"


FOUR = b"\1\2\3\4"  # four gaps
TWO = b"\x12\x34"  # four values
GOOD = made()
HALF = made(ValueCode.FP16, kept=1)
FULL = made(ValueCode.FP32, kept=1)
MASKED = masked()
UNSIZED = zstandard.ZstdCompressor(write_content_size=False).compress(FOUR)

LIES: dict[str, tuple[bytes, Reason]] = {
    "nothing at all": (b"", Reason.TOO_SHORT),
    "a header cut short": (GOOD[:51], Reason.TOO_SHORT),
    "a blob longer than is read": (GOOD + bytes(1 << 16), Reason.TOO_LONG),
    "other bytes altogether": (b"\x89PNG" + bytes(60), Reason.NOT_A_BLOB),
    "a later version": (lie(GOOD, version=2), Reason.UNKNOWN_FORMAT),
    "an unknown flag": (lie(GOOD, flags=GOOD[5] | 0x80), Reason.UNKNOWN_FORMAT),
    "an unknown code for positions": (lie(GOOD, index=4), Reason.UNKNOWN_FORMAT),
    "an unknown code for values": (lie(GOOD, value=0), Reason.UNKNOWN_FORMAT),
    "a flipped bit": (GOOD[:60] + bytes([GOOD[60] ^ 1]) + GOOD[61:], Reason.DAMAGED),
    "a lost tail": (GOOD[:-1], Reason.DAMAGED),
    "another model": (lie(GOOD, layout=b"another!"), Reason.WRONG_LAYOUT),
    "another number of parameters": (lie(GOOD, size=SIZE + 1), Reason.WRONG_COUNT),
    "no value at all": (lie(GOOD, kept=0), Reason.WRONG_COUNT),
    "more values than allowed": (lie(GOOD, kept=MAX_KEPT + 1), Reason.WRONG_COUNT),
    "values without end": (lie(GOOD, kept=0xFFFFFFFF), Reason.WRONG_COUNT),
    "no room for the checksum": (sealed(FULL[:5] + b"\x0f" + FULL[6:48]), Reason.TOO_SHORT),
    "fewer gaps than positions": (lie(GOOD, gaps=199), Reason.WRONG_LENGTH),
    "more gaps than the model has room for": (lie(GOOD, gaps=300), Reason.WRONG_LENGTH),
    "gaps without end": (lie(GOOD, gaps=0xFFFFFFFF), Reason.WRONG_LENGTH),
    "a seed of nine bytes": (lie(MASKED, gaps=9), Reason.WRONG_LENGTH),
    "a seed that is gaps": (lie(GOOD, index=3), Reason.WRONG_LENGTH),
    "a seed with high bytes": (lie(MASKED, flags=MASKED[5] & ~2), Reason.WRONG_LENGTH),
    "half a seed": (lie(MASKED[:80] + MASKED[84:], packed_gaps=4), Reason.BAD_COLUMN),
    "a seed for more values than allowed": (lie(MASKED, kept=MAX_KEPT + 1), Reason.WRONG_COUNT),
    "half a word of gaps": (lie(GOOD, index=2, gaps=401), Reason.WRONG_LENGTH),
    "a column longer than the blob": (lie(GOOD, packed_gaps=0xFFFFFFFF), Reason.WRONG_LENGTH),
    "lengths that add up only in 32 bits": (
        lie(forged(FOUR, TWO), packed_gaps=0xFFFFFFFF, packed_values=7), Reason.WRONG_LENGTH),
    "high bytes of single bytes": (forged(FOUR, TWO, raw=5), Reason.WRONG_LENGTH),
    "a byte too many": (sealed(GOOD[:-4] + b"\0"), Reason.WRONG_LENGTH),
    "a codebook with NaN": (lie(GOOD, book=(0, 1, 2, 3, 4, 5, 6, np.nan)), Reason.BAD_CODEBOOK),
    "a codebook with infinity": (lie(GOOD, book=(0, 1, 2, 3, 4, 5, 6, np.inf)), Reason.BAD_CODEBOOK),
    "a negative codebook": (lie(GOOD, book=(-1, 1, 2, 3, 4, 5, 6, 7)), Reason.BAD_CODEBOOK),
    "an unsorted codebook": (lie(GOOD, book=(0, 1, 2, 4, 3, 5, 6, 7)), Reason.BAD_CODEBOOK),
    "a raw column of another length": (forged(FOUR, TWO + b"\0"), Reason.BAD_COLUMN),
    "a raw column that says it is a frame": (framed(FOUR), Reason.BAD_COLUMN),
    "a frame that declares 256 MiB": (
        framed(frame(256 << 20, run_block(1 << 17))), Reason.BAD_COLUMN),
    "a frame that declares a terabyte": (framed(frame(1 << 40, b"")), Reason.BAD_COLUMN),
    "a frame that declares no size": (framed(UNSIZED), Reason.BAD_COLUMN),
    "a frame that holds more than it declares": (
        framed(frame(4, run_block(1 << 17, last=False) * 99 + run_block(9))), Reason.BAD_COLUMN),
    "a frame that holds less than it declares": (
        framed(frame(4, raw_block(b"\1\2\3"))), Reason.BAD_COLUMN),
    "a window of two gibibytes": (
        framed(frame(4, raw_block(FOUR), window=21 << 3)), Reason.BAD_COLUMN),
    "a frame that needs a dictionary": (
        framed(frame(4, raw_block(FOUR), dictionary=5)), Reason.BAD_COLUMN),
    "two frames": (framed(frame(4, raw_block(FOUR)) * 2), Reason.BAD_COLUMN),
    "a byte behind the frame": (framed(frame(4, raw_block(FOUR)) + b"\0"), Reason.BAD_COLUMN),
    "a frame that zstd skips": (
        framed(b"\x50\x2a\x4d\x18" + struct.pack("<I", 4) + FOUR), Reason.BAD_COLUMN),
    "a frame without its head": (framed(b"\x28\xb5\x2f\xfd"), Reason.BAD_COLUMN),
    "an escape without an end": (forged(b"\1\2\3\4\xff", TWO), Reason.BAD_POSITION),
    "an escape for a position": (forged(b"\1\2\xff\4", TWO), Reason.BAD_POSITION),
    "a position too many": (forged(b"\1\2\3\4\5", TWO), Reason.BAD_POSITION),
    "a position behind the model": (forged(b"\xff" * 15 + b"\xa6\1\2\3", TWO), Reason.BAD_POSITION),
    "an infinite half": (sealed(HALF[:-6] + b"\0\x7c"), Reason.BAD_VALUE),
    "a half that is not a number": (sealed(HALF[:-6] + b"\1\x7e"), Reason.BAD_VALUE),
    "a half that overflows its scale": (
        sealed(HALF[:48] + struct.pack("<f", 3e38) + HALF[52:-6] + b"\xff\x7b"), Reason.BAD_VALUE),
    "a float that is not a number": (sealed(FULL[:-8] + b"\0\0\xc0\x7f"), Reason.BAD_VALUE),
}  # fmt: skip


@pytest.mark.parametrize(("blob", "reason"), LIES.values(), ids=LIES.keys())
def test_a_lie_is_refused_for_its_own_reason_and_without_memory(blob: bytes, reason: Reason) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(CodecError) as refused:
            unpack(blob, LIMITS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.reason is reason
    assert len(str(refused.value)) > 15
    assert peak < (1 << 15) + 30 * MAX_KEPT


def test_what_the_lies_were_made_from_is_sound() -> None:
    assert unpack(forged(FOUR, TWO), LIMITS).index_K.tolist() == [1, 4, 8, 13]
    assert unpack(framed(frame(4, raw_block(FOUR))), LIMITS).index_K.tolist() == [1, 4, 8, 13]
    assert unpack(forged(b"\xff" * 15 + b"\xa5\1\2\3", TWO), LIMITS).index_K.max() == SIZE - 1
    for blob in (GOOD, HALF, FULL, MASKED):
        assert unpack(blob, LIMITS).base == 7


def test_every_reason_has_its_lie() -> None:
    assert {reason for _, reason in LIES.values()} == set(Reason)


def test_a_frame_within_its_size_may_not_ask_for_a_larger_window_than_ours() -> None:
    exponent = MAX_WINDOW.bit_length() - 1 - 10
    fits = framed(frame(4, raw_block(FOUR), window=exponent << 3))
    assert unpack(fits, LIMITS).index_K.size == 4
    with pytest.raises(CodecError, match="window"):
        unpack(framed(frame(4, raw_block(FOUR), window=exponent << 3 | 1)), LIMITS)


def flip(draw: random.Random, body: bytearray) -> None:
    for _ in range(draw.randint(1, 4)):
        body[draw.randrange(len(body))] ^= 1 << draw.randrange(8)


def overwrite(draw: random.Random, body: bytearray) -> None:
    start = draw.randrange(len(body))
    body[start : start + draw.randint(1, 16)] = draw.randbytes(draw.randint(1, 16))


def set_number(draw: random.Random, body: bytearray) -> None:
    offset, form = FIELDS[draw.choice(NUMBERS)]
    interesting = [0, 1, 2, 199, 200, 201, 255, 400, SIZE, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]
    struct.pack_into("<" + form, body, offset, draw.choice([*interesting, draw.randrange(600)]))


def move_border(draw: random.Random, body: bytearray) -> None:
    """Shift bytes from one column to another: the lengths still add up."""
    here, there = draw.sample(["packed_gaps", "packed_high", "packed_values"], 2)
    moved = draw.randint(1, 9)
    for name, change in ((here, moved), (there, -moved)):
        offset, form = FIELDS[name]
        (old,) = struct.unpack_from("<" + form, body, offset)
        struct.pack_into("<" + form, body, offset, (old + change) % (1 << 32))


def set_kind(draw: random.Random, body: bytearray) -> None:
    body[draw.choice([5, 6, 7])] = draw.randrange(16)


def cut(draw: random.Random, body: bytearray) -> None:
    del body[draw.randrange(len(body)) :]


MUTATIONS: list[Callable[[random.Random, bytearray], None]] = [flip, overwrite, set_number, move_border, set_kind, cut]
SOUND = [made(code, kept, checksum) for code in ValueCode for kept in (1, 7, 200, 400) for checksum in (None, 1)]
SOUND += [masked(kept, code) for code in ValueCode for kept in (1, 200, 400)]
SOUND += [pack(Packet(HASH, 7, SIZE, np.array([3]), quantise(np.ones(1, np.float32), code))) for code in ValueCode]


@pytest.mark.parametrize("seed", range(8))
def test_a_mutated_blob_is_refused_or_well_formed(seed: int) -> None:
    """8 x 3,000 blobs, their CRC made right again: past it, everything else must hold on its own."""
    draw = random.Random(seed)
    accepted = 0
    for _ in range(3000):
        body = bytearray(draw.choice(SOUND)[:-4])
        for mutate in draw.choices(MUTATIONS, k=draw.randint(1, 3)):
            if len(body) >= 80:
                mutate(draw, body)
        try:
            received = unpack(sealed(bytes(body)), LIMITS)
        except CodecError:
            continue
        accepted += 1
        assert 1 <= received.index_K.size == received.value_K.size <= MAX_KEPT
        assert (np.diff(received.index_K, prepend=-1) > 0).all()
        assert received.index_K[-1] < SIZE
        assert np.isfinite(received.value_K).all()
    # Were all refused, or none, the mutations would prove nothing.
    assert 100 < accepted < 2000
