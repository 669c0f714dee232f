"""One pass over a vector that finds everything at or above a floor, at little more than the cost of reading it.

Memory is read once, in blocks that stay in the cache while two comparisons and an AND mark the coordinates strictly
within the floor; whatever is not within, NaN included, is a hit. The marks of a strip, one bit a coordinate, then
become positions in three levels: words with a hit, bytes with a hit, bits. (At the few per cent of interest a plain
`flatnonzero` spends most of its time on mispredicted branches, half as much again as reading the vector.) Compiled
loops, where there are some, do all of this in one.
P parameters, S a strip, B a block, W words, H hits.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import native

Floats = NDArray[np.float32]
Positions = NDArray[np.int64]

BLOCK = 1 << 17  # 512 KB of float32, with 256 KB of marks: a second-level cache
STRIP = 1 << 20  # long enough to hide the cost of some twenty numpy calls
WORD = 64
FULL = np.uint64((1 << WORD) - 1)


def hits(
    vector_P: Floats, floor: np.float32, budget: int, increment_P: Floats | None = None
) -> tuple[Positions, Floats] | None:
    """Return positions and values of all that reaches the floor, or None if they are more than the budget.

    The increment, if there is one, is moved into the vector first, leaving zeros, whatever is found.
    """
    index_H, value_H = np.empty(budget, dtype=np.int64), np.empty(budget, dtype=np.float32)
    if native.loops is not None and _plain(vector_P, increment_P):
        found = native.loops.hits(vector_P, increment_P, floor, index_H, value_H)
        return (index_H[:found], value_H[:found]) if found <= budget else None
    return _hits(vector_P, floor, index_H, value_H, increment_P)


def _plain(vector_P: Floats, increment_P: Floats | None) -> bool:
    """Whether C may work on the vectors as they lie in memory."""
    if increment_P is None:
        return native.plain(vector_P)
    own = vector_P.flags.writeable and increment_P.flags.writeable and not np.may_share_memory(vector_P, increment_P)
    return own and native.plain(vector_P, increment_P)


def _hits(
    vector_P: Floats, floor: np.float32, index_H: Positions, value_H: Floats, increment_P: Floats | None
) -> tuple[Positions, Floats] | None:
    budget, found, within = index_H.size, 0, True
    for start, mark in _marks(vector_P, floor, increment_P):
        position = _clear_bits(mark, budget - found) if within else None
        if position is None:
            within = False
            continue
        here = slice(found, found + position.size)
        # "clip" spares numpy a copy of the output; no position is outside.
        vector_P[start : start + STRIP].take(position, out=value_H[here], mode="clip")
        np.add(position, start, out=index_H[here])
        found = here.stop
    return (index_H[:found], value_H[:found]) if within else None


def _marks(vector_P: Floats, floor: np.float32, increment_P: Floats | None) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    """Yield each strip's start and its marks: a bit a coordinate, 1 if it lies within the floor; reused."""
    # An increment's blocks come into the cache too.
    block = min(BLOCK if increment_P is None else BLOCK // 2, -(-vector_P.size // WORD) * WORD)
    inside_B, above_B = np.ones(block, dtype=bool), np.empty(block, dtype=bool)
    mark = np.empty(min(STRIP, vector_P.size + block) // 8, dtype=np.uint8)
    for start in range(0, vector_P.size, STRIP):
        filled = 0
        for at in range(start, min(start + STRIP, vector_P.size), block):
            block_B = vector_P[at : at + block]
            if increment_P is not None:
                block_B += increment_P[at : at + block]
                increment_P[at : at + block] = 0
            size = block_B.size
            np.less(block_B, floor, out=inside_B[:size])
            np.greater(block_B, -floor, out=above_B[:size])
            np.logical_and(inside_B[:size], above_B[:size], out=inside_B[:size])
            inside_B[size:] = True
            mark[filled : filled + block // 8] = np.packbits(inside_B, bitorder="little")
            filled += block // 8
        yield start, mark[:filled].view(np.uint64)


def _clear_bits(mark_W: NDArray[np.uint64], most: int) -> Positions | None:
    """Return the ascending positions of the bits that are 0, or None if they are more than `most`."""
    # Only of booleans does numpy find the non-zeros fast, hence the comparisons.
    word = np.flatnonzero(mark_W != FULL)
    byte_in = ~mark_W[word].view(np.uint8)
    byte = np.flatnonzero(byte_in != 0)
    bit_in = np.unpackbits(byte_in[byte], bitorder="little").view(bool)
    if np.count_nonzero(bit_in) > most:
        return None
    index_H = np.flatnonzero(bit_in)
    word *= WORD
    start = word.take(byte >> 3)
    byte &= 7
    byte <<= 3
    start += byte
    first_H = start.take(index_H >> 3)
    index_H &= 7
    index_H += first_H
    return index_H
