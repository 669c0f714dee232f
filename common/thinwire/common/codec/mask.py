"""Coordinates drawn from a seed: both sides draw the same, and no position travels. docs/wire.md has the definition.

A permutation of b bits, 2**b the least power of two that is not below P, takes 0, 1, 2, ... to the coordinates; what
falls outside the model is permuted again until it falls inside (cycle walking), so each is drawn once at most and
nothing is held but the K of them. Of two masks of one seed the larger holds the smaller. P parameters, K kept, W those
that still walk.
"""

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]

SEEDED = 3  # the position code of a blob that carries a seed
SEED_BYTES = 8
ROUNDS = 4
_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def seed_of(secret: int, number: int) -> int:
    """The seed of mask `number` of a training, 64 bits; `secret` is the training's own."""
    return _mixed((secret + number * _GOLDEN) & _WORD)


def drawn(seed: int, kept: int, size: int) -> Positions:
    """The ascending positions of `kept` of `size` coordinates, 1 <= kept <= size < 2**32."""
    if kept == size:
        return np.arange(size, dtype=np.int64)
    bits = max(1, (size - 1).bit_length())
    place_K = _permuted(np.arange(kept, dtype=np.uint64), seed, bits)
    # Cycles of a permutation are disjoint, so all walks together take fewer steps than there are places outside.
    while (outside := np.flatnonzero(place_K >= size)).size:
        place_K[outside] = _permuted(place_K[outside], seed, bits)
    place_K.sort()
    return place_K.astype(np.int64)


def _permuted(place_W: NDArray[np.uint64], seed: int, bits: int) -> NDArray[np.uint64]:
    """Add, multiply by something odd, fold the high half onto the low one: each can be undone within `bits` bits."""
    low = np.uint64((1 << bits) - 1)
    half = np.uint64((bits + 1) // 2)
    for number in range(ROUNDS):
        place_W = place_W + np.uint64(_mixed((seed + 2 * number * _GOLDEN) & _WORD) & int(low))
        place_W *= np.uint64(_mixed((seed + (2 * number + 1) * _GOLDEN) & _WORD) | 1)
        place_W &= low
        place_W ^= place_W >> half
    return place_W


def _mixed(word: int) -> int:
    """SplitMix64's output function."""
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB & _WORD
    return word ^ word >> 31
