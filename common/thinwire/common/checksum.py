"""Whether two replicas hold the same bits, kept up to date at the touched coordinates alone.

The checksum of a vector is a sum over its coordinates, mod 2**64, of a mixed word that holds position and value:

    word(i, x) = i * 2**32 + bits(x)          bits: the float32's own 32 bits, so -0.0 and 0.0 differ
    mix(w):      w *= A;  w ^= w >> 32;  w *= B;  w ^= w >> 29                       (a bijection of 64-bit words)
    full(x)    = sum of mix(word(i, x[i]))

A sum knows no order, so a commit that touches K of P coordinates updates it with K of P of the work:

    full(new) = full(old) - of(index_K, old[index_K]) + of(index_K, new[index_K])    (mod 2**64)

It catches accidents (a lost, doubled or reordered commit, a flipped bit); it is no defence against a forger.
P parameters, K touched, B one block.
"""

import numpy as np
from numpy.typing import NDArray

MASK = (1 << 64) - 1
BLOCK = 1 << 15  # words of 8 bytes: with their scratch they fit a second-level cache
_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xBF58476D1CE4E5B9)
_UPPER = np.uint64(32)
_HIGH = np.uint64(29)


def full(vector_P: NDArray[np.float32]) -> int:
    """Sum up the whole vector."""
    position_B = np.arange(BLOCK, dtype=np.uint64) << _UPPER
    word_B, shifted_B = np.empty_like(position_B), np.empty_like(position_B)
    total = 0
    for start in range(0, vector_P.size, BLOCK):
        bits_B = vector_P[start : start + BLOCK].view(np.uint32)
        word = word_B[: bits_B.size]
        word[:] = bits_B
        word |= position_B[: bits_B.size]
        total += _mixed_sum(word, shifted_B[: bits_B.size])
        position_B += np.uint64(BLOCK << 32)
    return total & MASK


def of(index_K: NDArray[np.int64], value_K: NDArray[np.float32]) -> int:
    """Sum up the share that these coordinates, holding these values, have in the whole."""
    total = 0
    for start in range(0, index_K.size, BLOCK):
        word_B = index_K[start : start + BLOCK].astype(np.uint64)
        word_B <<= _UPPER
        word_B |= value_K[start : start + BLOCK].view(np.uint32)
        total += _mixed_sum(word_B, np.empty_like(word_B))
    return total & MASK


def _mixed_sum(word_B: NDArray[np.uint64], shifted_B: NDArray[np.uint64]) -> int:
    word_B *= _A
    word_B ^= np.right_shift(word_B, _UPPER, out=shifted_B)
    word_B *= _B
    word_B ^= np.right_shift(word_B, _HIGH, out=shifted_B)
    return int(word_B.sum())
