"""How kept values become bytes, and exactly which values the receiver will read from them.

    LOG3   a nibble: 3 bits of magnitude, 1 of sign; 8 magnitudes in a codebook, each the mean of its bin
    FP16   value / scale as float16, scale the largest magnitude; bytes in 2 planes
    FP32   the value; bytes in 4 planes (exponents compress, mantissas do not)

The bins of LOG3 are uniform in the bits of |v| as a float32, which ascend as log |v| does to within 6 %: integer arithmetic,
fast and the same on every machine. Kept values all lie above a threshold, where a linear grid would waste its
codes. What quantising loses stays in the sender's residual, so the nearest code is right and dither is not needed.
K kept.
"""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    code_K = _bins(bits_K & MAGNITUDE)
    book = _means(value_K, code_K)
    nibble_K = code_K.astype(np.uint8)
    nibble_K |= (bits_K < 0).view(np.uint8) << 3
    if nibble_K.size % 2:
        nibble_K = np.append(nibble_K, np.uint8(0))
    return book, (nibble_K[0::2] | nibble_K[1::2] << 4).tobytes()


def _bins(magnitude_K: NDArray[np.int32]) -> NDArray[np.int32]:
    highest = int(magnitude_K.max())
    lowest = int(magnitude_K.min())
    # Zeros keep a code of their own, so that what did not change is not moved by a bin's mean.
    zero_K = magnitude_K == 0 if lowest == 0 < highest else None
    if zero_K is not None:
        lowest = int(magnitude_K[~zero_K].min())
    levels = LEVELS if zero_K is None else LEVELS - 1
    lowest = max(lowest, highest - MAX_SPAN)
    width = (highest - lowest) // levels + 1
    code_K = np.maximum(magnitude_K - np.int32(lowest), 0) // np.int32(width)
    if zero_K is not None:
        code_K += np.int32(1)
        code_K[zero_K] = 0
    return code_K


def _means(value_K: Floats, code_K: NDArray[np.int32]) -> Floats:
    count = np.bincount(code_K, minlength=LEVELS)
    total = np.bincount(code_K, weights=np.abs(value_K), minlength=LEVELS)
    mean = np.minimum(total / np.maximum(count, 1), np.finfo(np.float32).max).astype(np.float32)
    # An empty bin has the mean 0 so far; it takes its lower neighbour's.
    return np.maximum.accumulate(mean)


def _decode_log3(column: bytes | memoryview, book: Floats, kept: int) -> Floats:
    signed = np.concatenate([book, -book])
    pair = np.empty((256, 2), dtype=np.float32)
    pair[:, 0] = np.tile(signed, 16)
    pair[:, 1] = np.repeat(signed, 16)
    # One look-up of 8 bytes a byte: both of its values at once.
    both = pair.view(np.uint64)[:, 0].take(np.frombuffer(column, dtype=np.uint8))
    return both.view(np.float32)[:kept]


def _encode_fp16(value_K: Floats) -> tuple[Floats, bytes]:
    scale = np.abs(value_K).max()
    half_K = (value_K / scale if scale > 0 else value_K).astype("<f2")
    return np.array([scale], dtype=np.float32), _to_planes(half_K)


def _decode_fp16(column: bytes | memoryview, book: Floats, kept: int) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        return _from_planes(column, "<f2", kept).astype(np.float32) * book[0]


def _encode_fp32(value_K: Floats) -> tuple[Floats, bytes]:
    return np.empty(0, dtype=np.float32), _to_planes(value_K.astype("<f4", copy=False))


def _decode_fp32(column: bytes | memoryview, book: Floats, kept: int) -> Floats:
    return _from_planes(column, "<f4", kept).astype(np.float32, copy=False)


def _to_planes(value_K: NDArray[np.floating]) -> bytes:
    return value_K.view(np.uint8).reshape(value_K.size, -1).T.tobytes()


def _from_planes(column: bytes | memoryview, dtype: str, kept: int) -> NDArray[np.floating]:
    plane = np.frombuffer(column, dtype=np.uint8).reshape(-1, kept)
    return np.ascontiguousarray(plane.T).view(dtype)[:, 0]


_ENCODERS = {ValueCode.LOG3: _encode_log3, ValueCode.FP16: _encode_fp16, ValueCode.FP32: _encode_fp32}
_DECODERS = {ValueCode.LOG3: _decode_log3, ValueCode.FP16: _decode_fp16, ValueCode.FP32: _decode_fp32}
