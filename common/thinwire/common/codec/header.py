"""The first bytes of a blob, and everything that can be said against a blob before its columns are opened.

The fields are in docs/wire.md. `read` trusts nothing: it goes from the outside in, compares each claim with the
receiver's limits or with the blob's own length, and allocates nothing.
"""

import struct
import zlib
from dataclasses import dataclass

from thinwire.common.codec.errors import CodecError, Reason
from thinwire.common.codec.limits import Limits
from thinwire.common.codec.mask import SEED_BYTES, SEEDED
from thinwire.common.codec.positions import ESCAPE, UNIT_SIZE, most_units
from thinwire.common.codec.valuecode import BOOK_SIZE, ValueCode

MAGIC = b"TWB1"
VERSION = 1
RAW_GAPS, RAW_HIGH, RAW_VALUES, HAS_CHECKSUM = 1, 2, 4, 8
KNOWN_FLAGS = RAW_GAPS | RAW_HIGH | RAW_VALUES | HAS_CHECKSUM
VALUE_CODES = {1: ValueCode.LOG3, 2: ValueCode.FP16, 3: ValueCode.FP32}
VALUE_NUMBERS = {code: number for number, code in VALUE_CODES.items()}
POSITION_CODES = {*ESCAPE, SEEDED}
FIXED = struct.Struct("<4sBBBB8sQIIIIII")
CHECKSUM = struct.Struct("<Q")
CRC = struct.Struct("<I")
SHORTEST = FIXED.size + CRC.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a blob says of itself; sizes in bytes."""

    flags: int
    index_code: int
    value_code: ValueCode
    layout_hash: bytes
    base: int
    size: int  # P
    kept: int  # K
    gaps: int  # of the gap units, before compression
    packed_gaps: int  # of the gap column: the units, or their low bytes
    packed_high: int  # of the column of their high bytes
    packed_values: int
    checksum: int | None

    @property
    def book_at(self) -> int:
        """Where the codebook begins."""
        return FIXED.size + (CHECKSUM.size if self.flags & HAS_CHECKSUM else 0)

    @property
    def columns_at(self) -> int:
        """Where the columns begin."""
        return self.book_at + 4 * BOOK_SIZE[self.value_code]

    def to_bytes(self) -> bytes:
        """Write all that stands before the codebook."""
        fixed = FIXED.pack(
            MAGIC, VERSION, self.flags, self.index_code, VALUE_NUMBERS[self.value_code], self.layout_hash, self.base,
            self.size, self.kept, self.gaps, self.packed_gaps, self.packed_high, self.packed_values,
        )  # fmt: skip
        return fixed if self.checksum is None else fixed + CHECKSUM.pack(self.checksum)


def sealed(body: bytes) -> bytes:
    """Put the CRC behind a blob's body."""
    return body + CRC.pack(zlib.crc32(body))


def read(blob: memoryview, limits: Limits) -> Header:
    """Read the header of a blob whose every length fits; raise CodecError if one does not."""
    if len(blob) > limits.max_bytes:
        raise CodecError(Reason.TOO_LONG, f"a blob of {len(blob)} bytes; at most {limits.max_bytes} are read")
    if len(blob) < SHORTEST:
        raise CodecError(Reason.TOO_SHORT, f"a blob of {len(blob)} bytes; the shortest has {SHORTEST}")
    _demand_known(*FIXED.unpack_from(blob)[:5])
    _demand_whole(blob)
    header = _parsed(blob)
    if header.layout_hash != limits.layout_hash:
        raise CodecError(
            Reason.WRONG_LAYOUT,
            f"a blob for the model {header.layout_hash.hex()}; this side trains {limits.layout_hash.hex()}",
        )
    _demand_counts(header, limits)
    _demand_lengths(header, len(blob))
    return header


def _demand_known(magic: bytes, version: int, flags: int, index_code: int, value_number: int) -> None:
    if magic != MAGIC:
        raise CodecError(Reason.NOT_A_BLOB, f"bytes that begin with {magic!r}; a blob begins with {MAGIC!r}")
    # What is not known cannot be skipped: a flag may change the meaning of everything behind it.
    known_codes = index_code in POSITION_CODES and value_number in VALUE_CODES
    if version != VERSION or flags & ~KNOWN_FLAGS or not known_codes:
        raise CodecError(
            Reason.UNKNOWN_FORMAT,
            f"format {version}, flags {flags:#04x}, codes {index_code} and {value_number}; known here are "
            f"format {VERSION}, flags {KNOWN_FLAGS:#04x}, codes 1 to {max(POSITION_CODES)} and 1 to {len(VALUE_CODES)}",
        )


def _demand_whole(blob: memoryview) -> None:
    (claimed,) = CRC.unpack_from(blob, len(blob) - CRC.size)
    found = zlib.crc32(blob[: -CRC.size])
    if claimed != found:
        raise CodecError(Reason.DAMAGED, f"the bytes have the CRC {found:#010x}, and {claimed:#010x} at their end")


def _parsed(blob: memoryview) -> Header:
    _, _, flags, index_code, value_number, layout_hash, base, *counts = FIXED.unpack_from(blob)
    size, kept, gaps, packed_gaps, packed_high, packed_values = counts
    if flags & HAS_CHECKSUM and len(blob) < SHORTEST + CHECKSUM.size:
        raise CodecError(Reason.TOO_SHORT, f"a blob of {len(blob)} bytes has no room for its checksum")
    checksum = CHECKSUM.unpack_from(blob, FIXED.size)[0] if flags & HAS_CHECKSUM else None
    return Header(
        flags=flags, index_code=index_code, value_code=VALUE_CODES[value_number], layout_hash=layout_hash, base=base,
        size=size, kept=kept, gaps=gaps, packed_gaps=packed_gaps, packed_high=packed_high,
        packed_values=packed_values, checksum=checksum,
    )  # fmt: skip


def _demand_counts(header: Header, limits: Limits) -> None:
    if header.size != limits.size:
        raise CodecError(Reason.WRONG_COUNT, f"a blob for {header.size} parameters; the model has {limits.size}")
    most = min(limits.max_kept, limits.size)
    if not 1 <= header.kept <= most:
        raise CodecError(Reason.WRONG_COUNT, f"{header.kept} kept values; 1 to {most} are allowed")


def _demand_lengths(header: Header, length: int) -> None:
    unit = UNIT_SIZE.get(header.index_code, 1)
    least, most = _lengths_of_gaps(header, unit)
    if header.gaps % unit or not least <= header.gaps <= most:
        raise CodecError(
            Reason.WRONG_LENGTH, f"{header.gaps} bytes of gaps; {header.kept} positions need {least} to {most}"
        )
    # One byte a gap has no high bytes, nor has a seed.
    if unit == 1 and (header.packed_high or not header.flags & RAW_HIGH):
        raise CodecError(Reason.WRONG_LENGTH, f"{header.packed_high} bytes of a column that this code has not")
    total = header.columns_at + header.packed_gaps + header.packed_high + header.packed_values + CRC.size
    if total != length:
        raise CodecError(Reason.WRONG_LENGTH, f"parts of {total} bytes in a blob of {length}")


def _lengths_of_gaps(header: Header, unit: int) -> tuple[int, int]:
    if header.index_code == SEEDED:
        return SEED_BYTES, SEED_BYTES
    return unit * header.kept, unit * most_units(header.index_code, header.kept, header.size)


def kept_in(blob: bytes | memoryview) -> int:
    """How many values a blob keeps that was read before."""
    return int(FIXED.unpack_from(blob)[8])
