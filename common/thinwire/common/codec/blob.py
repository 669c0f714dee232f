"""What travels: a header, up to three columns, a CRC. The format, version 1, is docs/wire.md.

Sender and receiver meet here. `unpack` trusts nothing: each length is checked against the receiver's own limits before
anything is allocated from it, and whatever is odd ends in a CodecError. K kept.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import columns, positions
from thinwire.common.codec.errors import CodecError, Reason
from thinwire.common.codec.limits import Limits
from thinwire.common.codec.valuecode import BOOK_SIZE, Quantised, ValueCode, column_size, dequantise

MAGIC = b"TWB1"
VERSION = 1
RAW_GAPS, RAW_HIGH, RAW_VALUES, HAS_CHECKSUM = 1, 2, 4, 8
KNOWN_FLAGS = RAW_GAPS | RAW_HIGH | RAW_VALUES | HAS_CHECKSUM
HEADER = struct.Struct("<4sBBBB8sQIIIIII")
CHECKSUM = struct.Struct("<Q")
CRC = struct.Struct("<I")
VALUE_CODES = {1: ValueCode.LOG3, 2: ValueCode.FP16, 3: ValueCode.FP32}
VALUE_NUMBERS = {code: number for number, code in VALUE_CODES.items()}
# Above this density one byte a gap always wins; below, both are tried, until escapes outnumber the gaps.
ALWAYS_BYTES = 0.004
NEVER_BYTES = 0.0005


@dataclass(frozen=True, slots=True)
class Packet:
    """What the sender puts into a blob."""

    layout_hash: bytes  # 8 bytes
    base: int  # the version that a delta was made on, or that a commit makes its own from
    size: int  # P
    index_K: NDArray[np.int64]  # ascending, unique
    quantised: Quantised
    checksum: int | None = None  # of the model once this commit is in


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What the receiver finds in a blob: well-formed, which is not yet well-meant."""

    base: int
    index_K: NDArray[np.int64]
    value_K: NDArray[np.float32]
    checksum: int | None


@dataclass(frozen=True, slots=True)
class _Header:
    flags: int
    index_code: int
    value_code: ValueCode
    base: int
    size: int
    kept: int
    gaps: int
    packed_gaps: int
    packed_high: int
    packed_values: int

    @property
    def book_at(self) -> int:
        return HEADER.size + (CHECKSUM.size if self.flags & HAS_CHECKSUM else 0)

    @property
    def columns_at(self) -> int:
        return self.book_at + 4 * BOOK_SIZE[self.value_code]


def pack(packet: Packet) -> bytes:
    """Write a blob; raise ValueError if the packet contradicts itself."""
    _demand_sound(packet)
    code, gaps, stored = _pack_positions(packet.index_K, packet.size)
    quantised = packet.quantised
    stored.append(columns.shrink(quantised.column))
    flags = sum(bit for bit, (_, raw) in zip((RAW_GAPS, RAW_HIGH, RAW_VALUES), stored, strict=True) if raw)
    flags |= 0 if packet.checksum is None else HAS_CHECKSUM
    head = HEADER.pack(
        MAGIC, VERSION, flags, code, VALUE_NUMBERS[quantised.code], packet.layout_hash, packet.base,
        packet.size, packet.index_K.size, gaps, *(len(column) for column, _ in stored),
    )  # fmt: skip
    checksum = b"" if packet.checksum is None else CHECKSUM.pack(packet.checksum)
    body = b"".join([head, checksum, quantised.book.astype("<f4").tobytes(), *(column for column, _ in stored)])
    return body + CRC.pack(zlib.crc32(body))


def unpack(blob: bytes | memoryview, limits: Limits) -> Unpacked:
    """Read a blob within the limits; raise CodecError on anything odd."""
    view = memoryview(blob)
    header = _read_header(view, limits)
    book = _read_book(view, header)
    end = header.columns_at + header.packed_gaps
    packed_gaps, packed_high = view[header.columns_at : end], view[end : end + header.packed_high]
    packed_values = view[end + header.packed_high : len(view) - CRC.size]
    index_K = _unpack_positions(packed_gaps, packed_high, header)
    column = columns.restore(
        packed_values, bool(header.flags & RAW_VALUES), column_size(header.value_code, header.kept)
    )
    value_K = dequantise(column, book, header.value_code, header.kept)
    checksum = CHECKSUM.unpack_from(view, HEADER.size)[0] if header.flags & HAS_CHECKSUM else None
    return Unpacked(header.base, index_K, value_K, checksum)


def _demand_sound(packet: Packet) -> None:
    if len(packet.layout_hash) != 8:
        raise ValueError(f"a layout hash of {len(packet.layout_hash)} bytes; it has 8")
    if packet.index_K.size != packet.quantised.value_K.size:
        raise ValueError(f"{packet.index_K.size} positions for {packet.quantised.value_K.size} values")


def _pack_positions(index_K: NDArray[np.int64], size: int) -> tuple[int, int, list[tuple[bytes, bool]]]:
    gap_K = positions.gaps_of(index_K, size)
    density = gap_K.size / size
    if density >= ALWAYS_BYTES:
        return _as_bytes(gap_K)
    words = _as_words(gap_K)
    if density < NEVER_BYTES:
        return words
    return min(_as_bytes(gap_K), words, key=lambda packed: sum(len(column) for column, _ in packed[2]))


def _as_bytes(gap_K: NDArray[np.int64]) -> tuple[int, int, list[tuple[bytes, bool]]]:
    unit_G = positions.escape(gap_K, positions.BYTES)
    return positions.BYTES, unit_G.size, [columns.shrink(unit_G.tobytes()), (b"", True)]


def _as_words(gap_K: NDArray[np.int64]) -> tuple[int, int, list[tuple[bytes, bool]]]:
    unit_G = positions.escape(gap_K, positions.WORDS)
    plane = unit_G.view(np.uint8).reshape(-1, 2)
    # Low bytes of gaps are noise at these densities; zstd would only look at them.
    return positions.WORDS, unit_G.nbytes, [(plane[:, 0].tobytes(), True), columns.shrink(plane[:, 1].tobytes())]


def _unpack_positions(packed_gaps: memoryview, packed_high: memoryview, header: _Header) -> NDArray[np.int64]:
    raw_gaps, raw_high = bool(header.flags & RAW_GAPS), bool(header.flags & RAW_HIGH)
    unit_G: NDArray[np.unsignedinteger]
    if header.index_code == positions.BYTES:
        unit_G = np.frombuffer(columns.restore(packed_gaps, raw_gaps, header.gaps), dtype=np.uint8)
    else:
        units = header.gaps // 2
        unit_G = np.frombuffer(columns.restore(packed_high, raw_high, units), dtype=np.uint8).astype(np.uint16)
        unit_G <<= 8
        unit_G |= np.frombuffer(columns.restore(packed_gaps, raw_gaps, units), dtype=np.uint8)
    return positions.positions(unit_G, header.index_code, header.kept, header.size)


def _read_header(view: memoryview, limits: Limits) -> _Header:
    _check_length(view, limits)
    magic, version, flags, index_code, value_number, layout_hash, base, *counts = HEADER.unpack_from(view)
    if magic != MAGIC:
        raise CodecError(Reason.NOT_A_BLOB, f"a blob that begins with {magic!r}; {MAGIC!r} is expected")
    if version != VERSION or flags & ~KNOWN_FLAGS or index_code not in positions.ESCAPE or value_number not in VALUE_CODES:
        raise CodecError(
            Reason.UNKNOWN_FORMAT,
            f"format {version}, flags {flags:#x}, codes {index_code} and {value_number}; "
            f"this side knows format {VERSION}, flags {KNOWN_FLAGS:#x}, codes 1-2 and 1-3",
        )
    _check_crc(view)
    if layout_hash != limits.layout_hash:
        raise CodecError(
            Reason.WRONG_LAYOUT, f"made for model {layout_hash.hex()}; this side trains {limits.layout_hash.hex()}"
        )
    header = _Header(flags, index_code, VALUE_CODES[value_number], base, *counts)
    _check_counts(header, limits)
    _check_lengths(header, len(view))
    return header


def _check_length(view: memoryview, limits: Limits) -> None:
    if len(view) > limits.max_bytes:
        raise CodecError(Reason.TOO_LONG, f"a blob of {len(view)} bytes; at most {limits.max_bytes} are read")
    if len(view) < HEADER.size + CRC.size:
        raise CodecError(Reason.TOO_SHORT, f"a blob of {len(view)} bytes; the shortest has {HEADER.size + CRC.size}")


def _check_crc(view: memoryview) -> None:
    (claimed,) = CRC.unpack_from(view, len(view) - CRC.size)
    found = zlib.crc32(view[: len(view) - CRC.size])
    if claimed != found:
        raise CodecError(Reason.DAMAGED, f"the bytes have CRC {found:#010x}, the blob says {claimed:#010x}")


def _check_counts(header: _Header, limits: Limits) -> None:
    if header.size != limits.size:
        raise CodecError(Reason.WRONG_COUNT, f"a blob for {header.size} parameters; the model has {limits.size}")
    most = min(limits.max_kept, limits.size)
    if not 1 <= header.kept <= most:
        raise CodecError(Reason.WRONG_COUNT, f"{header.kept} kept values; 1 to {most} are allowed")


def _check_lengths(header: _Header, length: int) -> None:
    unit = 2 if header.index_code == positions.WORDS else 1
    most = positions.most_units(header.index_code, header.kept, header.size)
    if header.gaps % unit or not header.kept <= header.gaps // unit <= most:
        raise CodecError(
            Reason.WRONG_LENGTH,
            f"{header.gaps} bytes of gaps for {header.kept} positions; {header.kept * unit} to {most * unit} are possible",
        )
    if header.index_code == positions.BYTES and header.packed_high:
        raise CodecError(Reason.WRONG_LENGTH, f"a high column of {header.packed_high} bytes where there is none")
    total = header.columns_at + header.packed_gaps + header.packed_high + header.packed_values + CRC.size
    if total != length:
        raise CodecError(Reason.WRONG_LENGTH, f"parts of {total} bytes in a blob of {length}")


def _read_book(view: memoryview, header: _Header) -> NDArray[np.float32]:
    count = BOOK_SIZE[header.value_code]
    book = np.frombuffer(view, dtype="<f4", count=count, offset=header.book_at).astype(np.float32)
    if not (np.isfinite(book).all() and (book >= 0).all() and (np.diff(book) >= 0).all()):
        raise CodecError(Reason.BAD_CODEBOOK, "a codebook that is not finite, not sorted, or negative")
    return book
