"""One pass over a vector that finds everything at or above a floor, at little more than the cost of reading it.

Memory is read once, in blocks that stay in the cache while two comparisons and an AND mark the coordinates strictly
within the floor; whatever is not within, NaN included, is a hit. The marks of a strip, one bit a coordinate, then
become positions in three levels: words with a hit, bytes with a hit, bits. (At the few per cent of interest a plain
`flatnonzero` spends most of its time on mispredicted branches, half as much again as reading the vector.)
P parameters, S a strip, B a block, W words, H hits.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Positions = NDArray[np.int64]

BLOCK = 1 << 17  # 512 KB of float32, with 256 KB of marks: a second-level cache
STRIP = 1 << 20  # long enough to hide the cost of some twenty numpy calls
WORD = 64


def hits(
    vector_P: Floats, floor: np.float32, budget: int, prepare: Callable[[slice], None] | None = None
) -> tuple[Positions, Floats] | None:
    """Return positions and values of all that reaches the floor, or None if they are more than the budget.

    Each block passes through `prepare` before it is looked at, whatever is found.
    """
    found: list[tuple[Positions, Floats]] = []
    within = True
    for start, mark in _marks(vector_P, floor, prepare):
        index_H = _clear_bits(mark, budget) if within else None
        if index_H is None:
            within = False
            continue
        budget -= index_H.size
        found.append((index_H + start, vector_P[start : start + STRIP].take(index_H)))
    if not within:
        return None
    indices, values = zip(*found, strict=True)
    return np.concatenate(indices), np.concatenate(values)


def _marks(
    vector_P: Floats, floor: np.float32, prepare: Callable[[slice], None] | None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield each strip's start and its marks: a bit a coordinate, 1 if it lies within the floor."""
    block = min(BLOCK, -(-vector_P.size // WORD) * WORD)
    inside_B, above_B = np.ones(block, dtype=bool), np.empty(block, dtype=bool)
    for start in range(0, vector_P.size, STRIP):
        marks = []
        for at in range(start, min(start + STRIP, vector_P.size), block):
            if prepare:
                prepare(slice(at, at + block))
            block_B = vector_P[at : at + block]
            size = block_B.size
            np.less(block_B, floor, out=inside_B[:size])
            np.greater(block_B, -floor, out=above_B[:size])
            np.logical_and(inside_B[:size], above_B[:size], out=inside_B[:size])
            inside_B[size:] = True
            marks.append(np.packbits(inside_B, bitorder="little"))
        yield start, np.concatenate(marks)


def _clear_bits(mark: NDArray[np.uint8], most: int) -> Positions | None:
    """Return the ascending positions of the bits that are 0, or None if they are more than `most`."""
    # Only of booleans does numpy find the non-zeros fast, hence the comparisons.
    word_W = ~mark.view(np.uint64)
    word = np.flatnonzero(word_W != 0)
    byte_in = word_W[word].view(np.uint8)
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
