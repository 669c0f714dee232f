"""Which coordinates are worth sending: the exact top k by magnitude, in about the time of two memory copies.

    1  a strided sample says which magnitude the k-th is near; the floor is set a little below it
    2  one pass collects everything at or above the floor
    3  among these candidates, a few more than k, a partition finds the exact k-th

When the sample misleads (too few candidates, or far too many) two histograms find the k-th instead: slower, but
always right, and in the same bounded memory. Of equal magnitudes the lower positions win, so the answer is one and
the same on every machine. P parameters, K kept, C candidates, B one block.
"""

import math

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec.kth import INFINITE, MAGNITUDE, kth_magnitude, magnitudes
from thinwire.common.codec.scan import Floats, Positions, hits

SAMPLE = 1 << 15
LEAST = np.float32(1e-45)  # of what is not zero
MOST = np.finfo(np.float32).max


def kept_of(density: float, size: int) -> int:
    """Return k for a density: at least one value, at most all."""
    return min(size, max(1, round(density * size)))


def select(vector_P: Floats, kept: int) -> Positions:
    """Return the ascending positions of the `kept` largest magnitudes; raise ValueError on NaN or infinity."""
    _demand_row(vector_P)
    floor = _floor(vector_P[:: _stride(vector_P.size)], kept / vector_P.size)
    return _top(vector_P, floor, kept)


def add_and_select(residual_P: Floats, increment_P: Floats, kept: int) -> Positions:
    """Move the increment into the residual, leaving zeros, and select from the sum, in one pass over both.

    Raise ValueError on NaN or infinity in the sum; the increment has been moved all the same.
    """
    _demand_row(residual_P)
    _demand_row(increment_P)
    if residual_P.size != increment_P.size:
        raise ValueError(f"a residual of {residual_P.size} and an increment of {increment_P.size} parameters")
    stride = _stride(residual_P.size)
    # A sum that overflows is found below, with its position; numpy's warning has none.
    with np.errstate(over="ignore", invalid="ignore"):
        floor = _floor(residual_P[::stride] + increment_P[::stride], kept / residual_P.size)
        return _top(residual_P, floor, kept, increment_P)


def _demand_row(vector_P: Floats) -> None:
    if vector_P.dtype != np.float32 or vector_P.ndim != 1 or vector_P.size == 0:
        raise ValueError(f"a {vector_P.dtype} array of shape {vector_P.shape}; one row of float32 is needed")


def _stride(size: int) -> int:
    # Rows, channels and kernel taps repeat at such lengths; a multiple of one would see a single tap of them all.
    stride = max(1, size // SAMPLE)
    while math.gcd(stride, 2 * 3 * 5 * 7 * 11 * 13) > 1:
        stride += 1
    return stride


def _floor(sample: Floats, density: float) -> np.float32:
    """Return a magnitude that is reached by at least `density` of the vector, as far as the sample can tell."""
    expected = max(density, 0) * sample.size
    # Four standard deviations of a binomial count: the sample falls short once in 30,000 times.
    surplus = sample.size - int(expected + 4 * expected**0.5 + 8)
    if surplus <= 0:
        return LEAST
    floor = np.partition(np.abs(sample), surplus)[surplus]
    # Zeros are never candidates: in a mostly empty vector they would all be. Infinity and NaN always are.
    return np.clip(floor, LEAST, MOST) if floor == floor else MOST


def _top(vector_P: Floats, floor: np.float32, kept: int, increment_P: Floats | None = None) -> Positions:
    kept = min(max(kept, 1), vector_P.size)
    # Of a vector that is sent whole, nothing needs to be collected.
    budget = 2 * kept + SAMPLE if kept < vector_P.size else 0
    found = hits(vector_P, floor, budget, increment_P)
    if (found is None or found[0].size < kept) and vector_P.size > SAMPLE:
        return _by_histogram(vector_P, kept)
    # Of a small vector, everything is a candidate sooner than a histogram is filled.
    index_C, value_C = found if found and found[0].size >= kept else (np.arange(vector_P.size), vector_P.copy())
    magnitude_C = value_C.view(np.int32)
    magnitude_C &= MAGNITUDE
    if magnitude_C.max() >= INFINITE:
        _refuse(vector_P)
    return _largest(index_C, magnitude_C, kept)


def _largest(index_C: Positions, magnitude_C: NDArray[np.int32], kept: int) -> Positions:
    surplus = index_C.size - kept
    least = np.partition(magnitude_C, surplus)[surplus]
    chosen_C = magnitude_C >= least
    # Ties at the border: the last of them are one too many each.
    excess = int(np.count_nonzero(chosen_C)) - kept
    if excess:
        chosen_C[np.flatnonzero(magnitude_C == least)[-excess:]] = False
    return index_C.take(np.flatnonzero(chosen_C))


def _by_histogram(vector_P: Floats, kept: int) -> Positions:
    least, ties = kth_magnitude(vector_P, kept) if kept < vector_P.size else (-1, 0)
    indices = []
    for start, magnitude_B in magnitudes(vector_P):
        if magnitude_B.max() >= INFINITE:
            _refuse(vector_P)
        chosen_B = magnitude_B > least
        tie = np.flatnonzero(magnitude_B == least)[:ties]
        chosen_B[tie] = True
        ties -= tie.size
        indices.append(np.flatnonzero(chosen_B) + start)
    return np.concatenate(indices)


def _refuse(vector_P: Floats) -> None:
    for start, magnitude_B in magnitudes(vector_P):
        odd_B = magnitude_B >= INFINITE
        if odd_B.any():
            first = start + int(odd_B.argmax())
            raise ValueError(f"parameter {first} of {vector_P.size} is {vector_P[first]}: training diverged there")
