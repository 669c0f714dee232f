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
    vector_P: Floats, floor: np.float32, prepare: Callable[[slice], None] | None = None
) -> Iterator[tuple[Positions, Floats]]:
    """Yield positions and values of all that reaches the floor, strip by strip, after `prepare` saw each block."""
    block = min(BLOCK, -(-vector_P.size // WORD) * WORD)
    inside_B, above_B = np.ones(block, dtype=bool), np.empty(block, dtype=bool)
    for start in range(0, vector_P.size, STRIP):
        marks = []
        strip_S = vector_P[start : start + STRIP]
        for at in range(0, strip_S.size, block):
            if prepare:
                prepare(slice(start + at, start + at + block))
            block_B = strip_S[at : at + block]
            size = block_B.size
            np.less(block_B, floor, out=inside_B[:size])
            np.greater(block_B, -floor, out=above_B[:size])
            np.logical_and(inside_B[:size], above_B[:size], out=inside_B[:size])
            inside_B[size:] = True
            marks.append(np.packbits(inside_B, bitorder="little"))
        index_H = _clear_bits(np.concatenate(marks))
        value_H = strip_S.take(index_H)
        index_H += start
        yield index_H, value_H


def _clear_bits(mark: NDArray[np.uint8]) -> Positions:
    """Return the ascending positions of the bits that are 0."""
    # Only of booleans does numpy find the non-zeros fast, hence the comparisons.
    word_W = ~mark.view(np.uint64)
    word = np.flatnonzero(word_W != 0)
    byte_in = word_W[word].view(np.uint8)
    byte = np.flatnonzero(byte_in != 0)
    index_H = np.flatnonzero(np.unpackbits(byte_in[byte], bitorder="little").view(bool))
    word *= WORD
    start = word.take(byte >> 3)
    byte &= 7
    byte <<= 3
    start += byte
    first_H = start.take(index_H >> 3)
    index_H &= 7
    index_H += first_H
    return index_H
