"""How ascending positions become bytes: as the gaps between them, so that zstd's Huffman stage codes their entropy.

gap = position - previous position - 1, the first counted from -1; positions are thus ascending and unique by
construction. Two codes, of which the second wins below about 0.25 % density:

    bytes    one byte a gap; 255 means "255 more, and go on"
    words    one u16 a gap; 65535 means "65535 more, and go on"; all low bytes, then all high bytes

K kept, G gap units with escapes (G >= K).
"""

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec.errors import CodecError, Reason

BYTES, WORDS = 1, 2
ESCAPE = {BYTES: 255, WORDS: 65535}
_UNIT = {BYTES: np.dtype("u1"), WORDS: np.dtype("<u2")}


def gaps_of(index_K: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return the gaps of ascending positions in a model of `size` parameters; raise ValueError if they are not."""
    gap_K = np.diff(index_K, prepend=-1)
    gap_K -= 1
    if gap_K.min() < 0 or index_K[-1] >= size:
        raise ValueError(f"positions must ascend without repeating and stay below {size}")
    return gap_K


def escape(gap_K: NDArray[np.int64], code: int) -> NDArray[np.unsignedinteger]:
    """Write each gap in units of the code, with as many escapes before it as it needs."""
    most = ESCAPE[code]
    if gap_K.max() < most:
        return gap_K.astype(_UNIT[code])
    escapes_K, last_K = np.divmod(gap_K, most)
    end_K = np.cumsum(escapes_K + 1) - 1
    unit_G = np.full(int(end_K[-1]) + 1, most, dtype=_UNIT[code])
    unit_G[end_K] = last_K
    return unit_G


def most_units(code: int, kept: int, size: int) -> int:
    """Return how many units `kept` positions in a model of `size` parameters can need at the very most."""
    return kept + (size - kept) // ESCAPE[code]


def positions(unit_G: NDArray[np.unsignedinteger], code: int, kept: int, size: int) -> NDArray[np.int64]:
    """Undo `gaps_of` and `escape`; raise CodecError unless there are `kept` positions below `size`."""
    end_K = np.flatnonzero(unit_G != ESCAPE[code])
    if end_K.size != kept or end_K[-1] != unit_G.size - 1:
        raise CodecError(Reason.BAD_POSITION, f"{end_K.size} positions; {kept} were declared")
    index_K = np.cumsum(unit_G, dtype=np.int64)
    if unit_G.size != kept:
        index_K = index_K[end_K]
    index_K += np.arange(kept)
    if index_K[-1] >= size:
        raise CodecError(Reason.BAD_POSITION, f"position {index_K[-1]} in a model of {size} parameters")
    return index_K
