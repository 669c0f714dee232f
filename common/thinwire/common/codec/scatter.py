"""Adding sparse values to a vector: what the coordinator does with each delta. P parameters, K kept."""

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import native

Floats = NDArray[np.float32]
Positions = NDArray[np.int64]


def add_at(sum_P: Floats, index_K: Positions, value_K: Floats, weight: float = 1.0) -> None:
    """Add weight * values at unique positions, in float32; raise IndexError if one is outside, adding nothing."""
    if sum_P.ndim != 1 or index_K.shape != value_K.shape:
        raise ValueError(f"values of shape {value_K.shape} at positions {index_K.shape} of a vector {sum_P.shape}")
    if native.loops is not None and _plain(sum_P, index_K, value_K):
        outside = native.loops.add_at(sum_P, index_K, value_K, weight)
    else:
        outside = int(np.count_nonzero((index_K < 0) | (index_K >= sum_P.size)))
        if not outside:
            # `sum[index] += ...` would walk the vector twice; this is the same sum in a quarter of the time.
            np.add.at(sum_P, index_K, np.float32(weight) * value_K)
    if outside:
        raise IndexError(f"{outside} of {index_K.size} positions are outside a vector of {sum_P.size}")


def _plain(sum_P: Floats, index_K: Positions, value_K: Floats) -> bool:
    """Whether C may work on the arrays as they are."""
    floats = sum_P.dtype == value_K.dtype == np.float32
    return floats and index_K.dtype == np.int64 and native.plain(sum_P, index_K, value_K)
