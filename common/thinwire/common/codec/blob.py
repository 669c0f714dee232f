"""What travels: a header, a codebook, two or three columns, a CRC; the format, version 1, is docs/wire.md.

Sender and receiver meet here. `unpack` allocates nothing from a size that a blob claims before the header has been
held against the receiver's limits and the column against its claim, and whatever is odd ends in a CodecError.
P parameters, K kept, U units of gaps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import header as headers
from thinwire.common.codec import mask, positions
from thinwire.common.codec.columns import Stored, restore, shrink
from thinwire.common.codec.errors import CodecError, Reason
from thinwire.common.codec.header import CRC, HAS_CHECKSUM, RAW_GAPS, RAW_HIGH, RAW_VALUES, Header
from thinwire.common.codec.limits import Limits
from thinwire.common.codec.positions import Positions
from thinwire.common.codec.valuecode import BOOK_SIZE, Quantised, column_size, dequantise

# Above this density one byte a gap is always the smaller code. Below, both are tried, until gaps are so wide that
# escapes outnumber them several times and trying costs more than it can save.
ALWAYS_BYTES = 0.004
NEVER_BYTES = 0.0005


@dataclass(frozen=True, slots=True)
class Packet:
    """What the sender puts into a blob."""

    layout_hash: bytes  # 8 bytes
    base: int  # the version that a delta was made on, or that a commit is added to
    size: int  # P
    index_K: Positions  # ascending, unique
    quantised: Quantised
    checksum: int | None = None  # of the model once this commit is in
    seed: int | None = None  # of the mask that the positions are, `mask.drawn(seed, K, P)`: it travels in their place


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What the receiver finds in a blob: well-formed, which is not yet well-meant."""

    base: int
    index_K: Positions  # ascending, unique, below P
    value_K: NDArray[np.float32]  # finite
    checksum: int | None
    seed: int | None = None  # of the mask that the positions are, if they came that way


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Positions as they are stored."""

    code: int
    size: int  # of the units, in bytes
    low: Stored
    high: Stored

    @property
    def stored_size(self) -> int:
        return len(self.low.column) + len(self.high.column)


def pack(packet: Packet) -> bytes:
    """Write a blob; raise ValueError if the packet contradicts itself."""
    quantised = packet.quantised
    _demand_sound(packet)
    gaps = _pack_positions(packet.index_K, packet.size) if packet.seed is None else _as_seed(packet.seed)
    values = shrink(quantised.column)
    flags = RAW_GAPS * gaps.low.raw | RAW_HIGH * gaps.high.raw | RAW_VALUES * values.raw
    header = Header(
        flags=flags if packet.checksum is None else flags | HAS_CHECKSUM,
        index_code=gaps.code, value_code=quantised.code, layout_hash=packet.layout_hash, base=packet.base,
        size=packet.size, kept=packet.index_K.size, gaps=gaps.size, packed_gaps=len(gaps.low.column),
        packed_high=len(gaps.high.column), packed_values=len(values.column), checksum=packet.checksum,
    )  # fmt: skip
    book = quantised.book.astype("<f4").tobytes()
    return headers.sealed(b"".join((header.to_bytes(), book, gaps.low.column, gaps.high.column, values.column)))


def unpack(blob: bytes | memoryview, limits: Limits) -> Unpacked:
    """Read a blob within the limits; raise CodecError on anything odd."""
    view = memoryview(blob)
    header = headers.read(view, limits)
    book = _read_book(view, header)
    high_at = header.columns_at + header.packed_gaps
    values_at = high_at + header.packed_high
    seed = _read_seed(view[header.columns_at : high_at], header)
    if seed is None:
        index_K = _unpack_positions(view[header.columns_at : high_at], view[high_at:values_at], header)
    else:
        index_K = mask.drawn(seed, header.kept, header.size)
    packed = Stored(view[values_at : -CRC.size], bool(header.flags & RAW_VALUES))
    column = restore(packed, column_size(header.value_code, header.kept))
    value_K = dequantise(column, book, header.value_code, header.kept)
    return Unpacked(header.base, index_K, value_K, header.checksum, seed)


def _demand_sound(packet: Packet) -> None:
    if len(packet.layout_hash) != 8:
        raise ValueError(f"a layout hash of {len(packet.layout_hash)} bytes; it has 8")
    if packet.index_K.size != packet.quantised.value_K.size:
        raise ValueError(f"{packet.index_K.size} positions for {packet.quantised.value_K.size} values")
    if not 1 <= packet.size < 1 << 32:
        raise ValueError(f"a model of {packet.size} parameters; the format has room for 1 to {(1 << 32) - 1}")
    for name, number in (("base", packet.base), ("checksum", packet.checksum or 0), ("seed", packet.seed or 0)):
        if not 0 <= number < 1 << 64:
            raise ValueError(f"{name} is {number}; it must be 0 to {(1 << 64) - 1}")


def _pack_positions(index_K: Positions, size: int) -> _Gaps:
    density = index_K.size / size
    if density >= ALWAYS_BYTES:
        return _as_bytes(index_K, size)
    words = _as_words(index_K, size)
    if density < NEVER_BYTES:
        return words
    return min(_as_bytes(index_K, size), words, key=lambda gaps: gaps.stored_size)


def _as_bytes(index_K: Positions, size: int) -> _Gaps:
    unit_U = positions.to_units(index_K, positions.BYTES, size)
    return _Gaps(positions.BYTES, unit_U.size, shrink(unit_U.tobytes()), shrink(b""))


def _as_words(index_K: Positions, size: int) -> _Gaps:
    unit_U = positions.to_units(index_K, positions.WORDS, size)
    low, high = (unit_U & 255).astype(np.uint8).tobytes(), (unit_U >> 8).astype(np.uint8).tobytes()
    # The low bytes of gaps are noise at such densities; zstd would only look at them.
    return _Gaps(positions.WORDS, unit_U.nbytes, Stored(low, True), shrink(high))


def _as_seed(seed: int) -> _Gaps:
    return _Gaps(mask.SEEDED, mask.SEED_BYTES, Stored(seed.to_bytes(mask.SEED_BYTES, "little"), True), shrink(b""))


def _read_seed(column: memoryview, header: Header) -> int | None:
    if header.index_code != mask.SEEDED:
        return None
    return int.from_bytes(restore(Stored(column, bool(header.flags & RAW_GAPS)), mask.SEED_BYTES), "little")


def _unpack_positions(low: memoryview, high: memoryview, header: Header) -> Positions:
    units = header.gaps // positions.UNIT_SIZE[header.index_code]
    low_U = np.frombuffer(restore(Stored(low, bool(header.flags & RAW_GAPS)), units), dtype=np.uint8)
    if header.index_code == positions.BYTES:
        return positions.from_units(low_U, positions.BYTES, header.kept, header.size)
    high_U = np.frombuffer(restore(Stored(high, bool(header.flags & RAW_HIGH)), units), dtype=np.uint8)
    unit_U = high_U.astype(np.uint16)
    unit_U <<= 8
    unit_U |= low_U
    return positions.from_units(unit_U, positions.WORDS, header.kept, header.size)


def _read_book(view: memoryview, header: Header) -> NDArray[np.float32]:
    count = BOOK_SIZE[header.value_code]
    book = np.frombuffer(view, dtype="<f4", count=count, offset=header.book_at).astype(np.float32)
    if not (np.isfinite(book).all() and (book >= 0).all() and (np.diff(book) >= 0).all()):
        raise CodecError(Reason.BAD_CODEBOOK, f"a codebook that is not finite, sorted and at least 0: {book}")
    return book
