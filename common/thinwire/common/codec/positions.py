"""How ascending positions become bytes: as the gaps between them, so that zstd's Huffman stage codes their entropy.

gap = position - previous position - 1, the first counted from -1, so positions that come out of gaps ascend and are
unique by construction. Two codes, of which the second wins below about 0.25 % density:

    BYTES    one byte a gap; 255 means "255 more, and go on"
    WORDS    one u16 a gap; 65535 means "65535 more, and go on"

K kept, U units (gaps and escapes, U >= K), B one block.
"""

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import native
from thinwire.common.codec.blocks import blocks
from thinwire.common.codec.errors import CodecError, Reason

Positions = NDArray[np.int64]
Units = NDArray[np.uint8 | np.uint16]

BYTES, WORDS = 1, 2
ESCAPE = {BYTES: 255, WORDS: 65535}
UNIT_SIZE = {BYTES: 1, WORDS: 2}
DTYPE: dict[int, type[np.uint8 | np.uint16]] = {BYTES: np.uint8, WORDS: np.uint16}


def to_units(index_K: Positions, code: int, size: int) -> Units:
    """Write positions below `size` as gaps; raise ValueError if they do not ascend or leave the model."""
    before = -1
    units = []
    for block in blocks(index_K.size):
        index_B = index_K[block]
        gap_B = np.empty_like(index_B)
        gap_B[0] = index_B[0] - before
        np.subtract(index_B[1:], index_B[:-1], out=gap_B[1:])
        gap_B -= 1
        before = int(index_B[-1])
        if gap_B.min() < 0 or before >= size:
            raise ValueError(f"positions must ascend without repeating, from 0 to {size - 1}")
        units.append(_escaped(gap_B, code))
    return np.concatenate(units)


def _escaped(gap_B: Positions, code: int) -> Units:
    escape, dtype = ESCAPE[code], DTYPE[code]
    wide = (gap_B >= escape).nonzero()[0]
    if wide.size == 0:
        return gap_B.astype(dtype)
    # Few gaps are wide, and divisions and scattered writes are for them alone.
    gap = gap_B.take(wide)
    escapes = gap // escape
    gap_B[wide] = gap - escapes * escape
    before = np.repeat(wide, escapes)
    before += np.arange(before.size)
    unit_U = np.full(gap_B.size + before.size, escape, dtype=dtype)
    last_U = np.ones(unit_U.size, dtype=bool)
    last_U[before] = False
    unit_U[last_U] = gap_B.astype(dtype)
    return unit_U


def most_units(code: int, kept: int, size: int) -> int:
    """Return how many units `kept` positions in a model of `size` parameters can need at the very most."""
    return kept + (size - kept) // ESCAPE[code]


def from_units(unit_U: Units, code: int, kept: int, size: int) -> Positions:
    """Undo `to_units`; raise CodecError unless there are exactly `kept` positions below `size`."""
    index_K = np.empty(kept, dtype=np.int64)
    if native.loops is not None and code == BYTES and native.plain(unit_U):
        found, last = native.loops.positions(unit_U.astype(np.uint8, copy=False), index_K)
    else:
        found, last = _sum_gaps(unit_U, ESCAPE[code], index_K)
    if found != kept or unit_U[-1] == ESCAPE[code]:
        raise CodecError(Reason.BAD_POSITION, f"{found} gaps where {kept} were declared, or half a gap at the end")
    if last >= size:
        raise CodecError(Reason.BAD_POSITION, f"position {last} in a model of {size} parameters")
    return index_K


def _sum_gaps(unit_U: Units, escape: int, index_K: Positions) -> tuple[int, int]:
    """Fill in the positions if there are as many; return how many there are, and the last."""
    found = int(np.count_nonzero(unit_U != escape))
    done, before = 0, -1
    if found != index_K.size:
        return found, before
    for block in blocks(unit_U.size):
        unit_B = unit_U[block]
        last_B = unit_B != escape
        # A whole block of escapes adds up to 2**30, within an int32.
        step_B = np.add(unit_B, last_B, dtype=np.int32)
        np.cumsum(step_B, out=step_B)
        reached_B = step_B[last_B]
        np.add(reached_B, before, out=index_K[done : done + reached_B.size], dtype=np.int64)
        done += reached_B.size
        before += int(step_B[-1])
    return found, before
