"""How kept values become bytes, and exactly which values the receiver will read from them.

    LOG3   a nibble: 3 bits of magnitude, 1 of sign; 8 magnitudes in a codebook, each the mean of its bin
    FP16   value / scale as float16, scale the largest magnitude; bytes in 2 planes
    FP32   the value; bytes in 4 planes (exponents compress, mantissas do not)

The bins of LOG3 are uniform in the bits of |v| as a float32, which ascend nearly as log |v| does: integer
arithmetic, fast and the same on every machine. Kept values all lie above a threshold, where a linear grid would waste
its codes. What quantising loses stays in the sender's residual, so the nearest code is right and dither is not needed.
K kept.
"""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec.blocks import blocks
from thinwire.common.codec.errors import CodecError, Reason

Floats = NDArray[np.float32]

MAGNITUDE = np.int32(0x7FFFFFFF)
LEVELS = 8
# Magnitudes more than 16 octaves below the largest share the lowest bin: a stray 1e-30 among the kept values must not
# stretch the bins until all the others fall into one.
MAX_SPAN = 16 << 23


class ValueCode(enum.Enum):
    """How values are coded; the words of the plan."""

    LOG3 = "log3"
    FP16 = "fp16"
    FP32 = "fp32"


BOOK_SIZE = {ValueCode.LOG3: LEVELS, ValueCode.FP16: 1, ValueCode.FP32: 0}


@dataclass(frozen=True, slots=True)
class Quantised:
    """Values as they will be read, and as they are written."""

    code: ValueCode
    value_K: Floats  # exactly what `unpack` returns
    book: Floats  # the codebook, the scale, or nothing
    column: bytes


def quantise(value_K: Floats, code: ValueCode) -> Quantised:
    """Code the values; raise ValueError with the first that is not finite."""
    value_K = np.ascontiguousarray(value_K, dtype=np.float32)
    if value_K.ndim != 1 or value_K.size == 0:
        raise ValueError(f"values of shape {value_K.shape}; one row of at least one value is needed")
    finite_K = np.isfinite(value_K)
    if not finite_K.all():
        first = int(finite_K.argmin())
        raise ValueError(f"value {first} of {value_K.size} is {value_K[first]}; only finite values can be coded")
    book, column = _ENCODERS[code](value_K)
    return Quantised(code, dequantise(column, book, code, value_K.size), book, column)


def dequantise(column: bytes | memoryview, book: Floats, code: ValueCode, kept: int) -> Floats:
    """Read `kept` values; raise CodecError if one is not finite."""
    value_K = _DECODERS[code](column, book, kept)
    if code is not ValueCode.LOG3 and not np.isfinite(value_K).all():
        raise CodecError(Reason.BAD_VALUE, f"value {int(np.isfinite(value_K).argmin())} of {kept} is not finite")
    return value_K


def column_size(code: ValueCode, kept: int) -> int:
    """Return how many bytes `kept` values take before compression."""
    return {ValueCode.LOG3: (kept + 1) // 2, ValueCode.FP16: 2 * kept, ValueCode.FP32: 4 * kept}[code]


def _encode_log3(value_K: Floats) -> tuple[Floats, bytes]:
    bits_K = value_K.view(np.int32)
    bins = _bins_of(bits_K)
    nibble_K = np.zeros(value_K.size + value_K.size % 2, dtype=np.uint8)
    total = np.zeros(LEVELS)
    for block in blocks(value_K.size):
        bits_B = bits_K[block]
        magnitude_B = bits_B & MAGNITUDE
        level_B = bins.levels(magnitude_B)
        total += np.bincount(level_B, weights=magnitude_B.view(np.float32), minlength=LEVELS)
        bits_B = bits_B >> 28
        bits_B &= 8
        bits_B |= level_B
        nibble_K[block] = bits_B
    column: NDArray[np.uint8] = nibble_K[1::2] << np.uint8(4)
    column |= nibble_K[0::2]
    return _book(_count(column, value_K.size), total), column.tobytes()


def _count(column: NDArray[np.uint8], kept: int) -> NDArray[np.int64]:
    """Return how often each level was written."""
    # Counted in pairs: half the values, and fewer that wait for the counter of the one before.
    low_high = np.bincount(column, minlength=256).reshape(2, LEVELS, 2, LEVELS)
    count: NDArray[np.int64] = low_high.sum(axis=(0, 2, 3)) + low_high.sum(axis=(0, 1, 2))
    count[0] -= kept % 2  # the nibble that fills the last byte
    return count


@dataclass(frozen=True, slots=True)
class _Bins:
    """Where the bins of LOG3 lie, in the bits of |v|."""

    first: int  # the level of the lowest bin: 1 if level 0 is for zeros alone
    lowest: int
    width: int

    def levels(self, magnitude_B: NDArray[np.int32]) -> NDArray[np.int32]:
        level_B = magnitude_B - np.int32(self.lowest)
        np.maximum(level_B, 0, out=level_B)
        level_B //= np.int32(self.width)
        if self.first:
            level_B += np.int32(1)
            level_B[magnitude_B == 0] = 0
        return level_B


def _bins_of(bits_K: NDArray[np.int32]) -> _Bins:
    lowest, highest, zeros = int(MAGNITUDE), 0, False
    for block in blocks(bits_K.size):
        magnitude_B = bits_K[block] & MAGNITUDE
        highest = max(highest, int(magnitude_B.max()))
        least = int(magnitude_B.min())
        if least == 0:
            zeros = True
            least = int(magnitude_B.min(initial=MAGNITUDE, where=magnitude_B > 0))
        lowest = min(lowest, least)
    # Zeros have a level of their own, so that what did not change is not moved by the mean of what did.
    first = 1 if zeros and highest else 0
    lowest = max(min(lowest, highest), highest - MAX_SPAN)
    return _Bins(first, lowest, (highest - lowest) // (LEVELS - first) + 1)


def _book(count: NDArray[np.int64], total: NDArray[np.float64]) -> Floats:
    mean = np.minimum(total / np.maximum(count, 1), np.finfo(np.float32).max).astype(np.float32)
    # An empty bin has the mean 0 so far; it takes its lower neighbour's.
    book: Floats = np.maximum.accumulate(mean)
    return book


def _decode_log3(column: bytes | memoryview, book: Floats, kept: int) -> Floats:
    signed = np.concatenate([book, -book])
    # One look-up of 8 bytes a byte gives both of its values: the low nibble's, then the high one's.
    pair = np.stack([np.tile(signed, 16), np.repeat(signed, 16)], axis=1).view(np.uint64)[:, 0]
    byte = np.frombuffer(column, dtype=np.uint8)
    both = np.empty(byte.size, dtype=np.uint64)
    for block in blocks(byte.size):
        both[block] = pair.take(byte[block])
    return both.view(np.float32)[:kept]


def _encode_fp16(value_K: Floats) -> tuple[Floats, bytes]:
    scale = np.abs(value_K).max()
    half_K = (value_K / scale if scale > 0 else value_K).astype("<f2")
    return np.array([scale], dtype=np.float32), _to_planes(half_K)


def _decode_fp16(column: bytes | memoryview, book: Floats, kept: int) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        value_K: Floats = _from_planes(column, "<f2", kept).astype(np.float32) * book[0]
    return value_K


def _encode_fp32(value_K: Floats) -> tuple[Floats, bytes]:
    return np.empty(0, dtype=np.float32), _to_planes(value_K.astype("<f4", copy=False))


def _decode_fp32(column: bytes | memoryview, book: Floats, kept: int) -> Floats:
    return _from_planes(column, "<f4", kept).astype(np.float32, copy=False)


def _to_planes(value_K: NDArray[np.floating]) -> bytes:
    return value_K.view(np.uint8).reshape(value_K.size, -1).T.tobytes()


def _from_planes(column: bytes | memoryview, dtype: str, kept: int) -> NDArray[np.floating]:
    plane = np.frombuffer(column, dtype=np.uint8).reshape(-1, kept)
    # A copy even where the transpose needs none: values do not share memory with the blob.
    return np.array(plane.T, order="C").view(dtype)[:, 0]


_ENCODERS = {ValueCode.LOG3: _encode_log3, ValueCode.FP16: _encode_fp16, ValueCode.FP32: _encode_fp32}
_DECODERS = {ValueCode.LOG3: _decode_log3, ValueCode.FP16: _decode_fp16, ValueCode.FP32: _decode_fp32}
