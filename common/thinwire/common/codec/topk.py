"""Which coordinates are worth sending: the exact top k by magnitude, in about the time of two memory copies.

    1  a strided sample says which magnitude the k-th is near; the floor is set a little below it
    2  one pass in blocks that stay in the cache collects everything at or above the floor
    3  among these candidates, few more than k, a partition finds the exact k-th

When the sample misleads (too few or far too many candidates) two histograms find the k-th instead: slower, but always
right, and in the same bounded memory. Of equal magnitudes the lower positions win, so the answer is one and the same everywhere.

Magnitudes are compared as integers, the bits of |v|, which ascend as |v| does; NaN and infinity come out on top and so cannot be
missed. P parameters, K kept, C candidates, B block.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Magnitudes = NDArray[np.int32]
Positions = NDArray[np.int64]

BLOCK = 1 << 16  # 256 KB of float32: fits the second-level cache with its scratch
SAMPLE = 1 << 16
MAGNITUDE = np.int32(0x7FFFFFFF)
INFINITE = 0x7F800000
_LOW_BITS = 15  # of a magnitude's 31 bits, those left to the second histogram


def kept_of(density: float, size: int) -> int:
    """Return k for a density: at least one value, at most all."""
    return min(size, max(1, round(density * size)))


def select(vector_P: Floats, kept: int) -> Positions:
    """Return the ascending positions of the `kept` largest magnitudes; raise ValueError on NaN or infinity."""
    _demand_row(vector_P)
    kept = min(max(kept, 1), vector_P.size)
    floor = _floor(vector_P[:: _stride(vector_P.size)], kept / vector_P.size)
    return _select(vector_P, _blocks(vector_P), floor, kept)


def add_and_select(residual_P: Floats, increment_P: Floats, kept: int) -> Positions:
    """Move the increment into the residual (leaving zeros) and select from the sum, in one pass over both.

    On ValueError, a sum that is not finite, the increment has been moved all the same.
    """
    _demand_row(residual_P)
    _demand_row(increment_P)
    if residual_P.size != increment_P.size:
        raise ValueError(f"a residual of {residual_P.size} and an increment of {increment_P.size} parameters")
    kept = min(max(kept, 1), residual_P.size)
    stride = _stride(residual_P.size)
    floor = _floor(residual_P[::stride] + increment_P[::stride], kept / residual_P.size)
    return _select(residual_P, _added_blocks(residual_P, increment_P), floor, kept)


def _demand_row(vector_P: Floats) -> None:
    if vector_P.dtype != np.float32 or vector_P.ndim != 1 or vector_P.size == 0:
        raise ValueError(f"a {vector_P.dtype} array of shape {vector_P.shape}; one row of float32 is needed")


def _stride(size: int) -> int:
    # Odd, because rows and channels of real models repeat at even lengths.
    return max(1, size // SAMPLE) | 1


def _floor(sample: Floats, density: float) -> int:
    """Return a magnitude that is reached by at least `density` of the vector, as far as the sample can tell."""
    magnitude = sample.view(np.int32) & MAGNITUDE if sample.flags.c_contiguous else sample.copy().view(np.int32) & MAGNITUDE
    rank = density * magnitude.size
    # Four standard deviations of a binomial count: the sample falls short once in 30,000 times.
    rank = int(rank + 4 * rank**0.5 + 8)
    if rank >= magnitude.size:
        return 1
    floor = int(np.partition(magnitude, magnitude.size - rank)[magnitude.size - rank])
    # Zeros are never candidates: in a mostly empty vector they would all be.
    return min(max(floor, 1), INFINITE)


def _blocks(vector_P: Floats) -> Iterator[tuple[int, Magnitudes]]:
    scratch_B = np.empty(min(BLOCK, vector_P.size), dtype=np.int32)
    for start in range(0, vector_P.size, BLOCK):
        bits_B = vector_P[start : start + BLOCK].view(np.int32)
        yield start, np.bitwise_and(bits_B, MAGNITUDE, out=scratch_B[: bits_B.size])


def _added_blocks(residual_P: Floats, increment_P: Floats) -> Iterator[tuple[int, Magnitudes]]:
    scratch_B = np.empty(min(BLOCK, residual_P.size), dtype=np.int32)
    for start in range(0, residual_P.size, BLOCK):
        sum_B = residual_P[start : start + BLOCK]
        increment_B = increment_P[start : start + BLOCK]
        sum_B += increment_B
        increment_B[:] = 0
        yield start, np.bitwise_and(sum_B.view(np.int32), MAGNITUDE, out=scratch_B[: sum_B.size])


def _select(vector_P: Floats, blocks: Iterator[tuple[int, Magnitudes]], floor: int, kept: int) -> Positions:
    found, index_C, magnitude_C = _candidates(blocks, floor, budget=2 * kept + BLOCK)
    if magnitude_C.size and magnitude_C.max() >= INFINITE:
        _refuse(vector_P)
    if kept <= found == index_C.size:
        return _largest(index_C, magnitude_C, kept)
    if kept == vector_P.size:
        return np.arange(kept)
    return _select_by_histogram(vector_P, kept)


def _candidates(
    blocks: Iterator[tuple[int, Magnitudes]], floor: int, budget: int
) -> tuple[int, Positions, Magnitudes]:
    """Count all candidates, and collect them up to the budget; each block is visited, whatever is found."""
    found, indices, magnitudes = 0, [], []
    for start, magnitude_B in blocks:
        hit = np.flatnonzero(magnitude_B >= floor)
        found += hit.size
        if found <= budget:
            magnitudes.append(magnitude_B[hit])
            hit += start
            indices.append(hit)
        else:
            magnitudes.append(magnitude_B.max(keepdims=True))
    return found, np.concatenate(indices or [np.empty(0, np.int64)]), np.concatenate(magnitudes)


def _largest(index_C: Positions, magnitude_C: Magnitudes, kept: int) -> Positions:
    surplus = magnitude_C.size - kept
    if surplus == 0:
        return index_C
    least = np.partition(magnitude_C, surplus)[surplus]
    chosen_C = magnitude_C > least
    tie = np.flatnonzero(magnitude_C == least)
    chosen_C[tie[: kept - np.count_nonzero(chosen_C)]] = True
    return index_C[chosen_C]


def _select_by_histogram(vector_P: Floats, kept: int) -> Positions:
    least, ties = _kth_magnitude(vector_P, kept)
    indices = []
    for start, magnitude_B in _blocks(vector_P):
        chosen_B = magnitude_B > least
        if ties:
            tie = np.flatnonzero(magnitude_B == least)[:ties]
            chosen_B[tie] = True
            ties -= tie.size
        indices.append(np.flatnonzero(chosen_B) + start)
    return np.concatenate(indices)


def _kth_magnitude(vector_P: Floats, kept: int) -> tuple[int, int]:
    """Return the k-th largest magnitude, and how many that equal it belong to the top k."""
    high = np.zeros(1 << 16, dtype=np.int64)
    for _, magnitude_B in _blocks(vector_P):
        high += np.bincount(magnitude_B >> _LOW_BITS, minlength=high.size)
    bucket, left = _rank(high, kept)
    low = np.zeros(1 << _LOW_BITS, dtype=np.int64)
    for _, magnitude_B in _blocks(vector_P):
        within = magnitude_B[magnitude_B >> _LOW_BITS == bucket]
        low += np.bincount(within & (low.size - 1), minlength=low.size)
    rest, ties = _rank(low, left)
    return bucket << _LOW_BITS | rest, ties


def _rank(histogram: NDArray[np.int64], kept: int) -> tuple[int, int]:
    above = np.cumsum(histogram[::-1])
    place = int(np.searchsorted(above, kept))
    bucket = histogram.size - 1 - place
    return bucket, kept - int(above[place] - histogram[bucket])


def _refuse(vector_P: Floats) -> None:
    for start, magnitude_B in _blocks(vector_P):
        odd_B = magnitude_B >= INFINITE
        if odd_B.any():
            first = start + int(odd_B.argmax())
            raise ValueError(f"parameter {first} of {vector_P.size} is {vector_P[first]}; training has diverged there")
