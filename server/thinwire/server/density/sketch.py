"""A device's direction in 64 numbers: the count sketch of what it sent.

    y[bucket(i)] += sign(i) * x[i]        bucket in 0..63 and sign in {-1, 1} by a hash of i     (Charikar et al., 2002)

It keeps inner products on average, with a standard deviation of about |x| |y| / 8. The coordinator makes sketches
itself, from the deltas that it has admitted: they cost no byte on the wire, and no device can tell one that its deltas
do not bear out. Each delta counts the same, at length 1; older ones fade. Deltas go into two sketches in turn, so that
what is found in one can be judged in the other. K coordinates, S = 64 buckets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thinwire.server.sums import length

Vector = NDArray[np.float32]

BUCKETS = 64
FADE = np.float32(0.8)  # at each further delta: a sketch remembers about five, both together ten
_MIX = np.uint64(0x9E3779B97F4A7C15)
_AGAIN = np.uint64(0xBF58476D1CE4E5B9)
_HALF = np.uint64(32)
_BUCKET, _SIGN = np.uint64(58), np.uint64(57)


class Sketches:
    """Two sketches of one device, `half_2S`, and which is next."""

    def __init__(self) -> None:
        self.half_2S = np.zeros((2, BUCKETS), np.float32)
        self.deltas = 0

    def add(self, index_K: NDArray[np.int64], value_K: Vector) -> None:
        """One more delta."""
        sketch_S = sketch(index_K, value_K)
        size = length(sketch_S)
        half_S = self.half_2S[self.deltas % 2]
        half_S *= FADE
        if size > 0:
            half_S += (sketch_S / size).astype(np.float32)
        self.deltas += 1


def sketch(index_K: NDArray[np.int64], value_K: Vector) -> NDArray[np.float64]:
    """Sum up a sparse vector into S buckets."""
    word_K = (index_K.astype(np.uint64) + np.uint64(1)) * _MIX
    word_K ^= word_K >> _HALF
    word_K *= _AGAIN
    bucket_K = (word_K >> _BUCKET).astype(np.intp)
    negative_K = (word_K >> _SIGN) & np.uint64(1)
    signed_K = np.where(negative_K, -value_K, value_K)
    return np.bincount(bucket_K, signed_K, BUCKETS).astype(np.float64, copy=False)
