"""The k-th largest magnitude of a vector, by two histograms: right whatever the values are, in bounded memory.

Magnitudes are the bits of |v| as integers, which ascend as |v| does, with NaN and infinity on top. The first
histogram counts their upper 16 bits and says in which bucket the k-th lies; the second resolves that bucket.
P parameters, B one block.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Magnitudes = NDArray[np.int32]

BLOCK = 1 << 16
MAGNITUDE = np.int32(0x7FFFFFFF)
INFINITE = np.int32(0x7F800000)
_LOW_BITS = 15


def magnitudes(vector_P: Floats) -> Iterator[tuple[int, Magnitudes]]:
    """Yield each block's start and magnitudes; the array is reused from block to block."""
    scratch_B = np.empty(min(BLOCK, vector_P.size), dtype=np.int32)
    for start in range(0, vector_P.size, BLOCK):
        bits_B = vector_P[start : start + BLOCK].view(np.int32)
        yield start, np.bitwise_and(bits_B, MAGNITUDE, out=scratch_B[: bits_B.size])


def kth_magnitude(vector_P: Floats, kept: int) -> tuple[int, int]:
    """Return the k-th largest magnitude, and how many of those that equal it belong to the top k."""
    high = np.zeros(1 << (31 - _LOW_BITS), dtype=np.int64)
    for _, magnitude_B in magnitudes(vector_P):
        high += np.bincount(magnitude_B >> _LOW_BITS, minlength=high.size)
    bucket, left = _rank(high, kept)
    low = np.zeros(1 << _LOW_BITS, dtype=np.int64)
    for _, magnitude_B in magnitudes(vector_P):
        within = magnitude_B[magnitude_B >> _LOW_BITS == bucket]
        low += np.bincount(within & (low.size - 1), minlength=low.size)
    rest, ties = _rank(low, left)
    return bucket << _LOW_BITS | rest, ties


def _rank(histogram: NDArray[np.int64], kept: int) -> tuple[int, int]:
    reached = np.cumsum(histogram[::-1])
    place = int(np.searchsorted(reached, kept))
    bucket = histogram.size - 1 - place
    return bucket, kept - int(reached[place] - histogram[bucket])
