"""The bytes of a log's segments: heads and chained records, how they are written, read, and told from what is torn.

    head      8s magic | u64 first | 16s chain before it | u32 crc
    record    u32 header length | u32 body length | u64 number | u32 crc | 16s chain | header | body

The crc (CRC-32) covers lengths, number, header and body; the chain is SHA-256 over the chain before, the header and the
crc, cut to 16 bytes, so a record can neither be changed nor moved, left out or put in. All integers are little-endian.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass

from thinwire.common.disk import Folder

MAGIC = b"TWLOG\x001\n"
GENESIS = bytes(16)  # the chain before the first record
MAX_HEADER_BYTES = 32 << 20  # a commit names every device that is in it
MAX_BODY_BYTES = 512 << 20
_AHEAD_BYTES = 1 << 18
_HEAD = struct.Struct("<8sQ16sI")
_RECORD = struct.Struct("<IIQI16s")
_NUMBERED = struct.Struct("<IIQ")
_SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `number` counts from 1 over the whole log, `offset` is where in its file it begins."""

    number: int
    header: bytes
    body: bytes
    file: str = ""
    offset: int = 0


class TornError(Exception):
    """The file ends, or turns into something else, at this offset."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.offset = offset


def packed_head(first: int, chain: bytes) -> bytes:
    """What a segment begins with whose first record has that number."""
    numbers = _HEAD.pack(MAGIC, first, chain, 0)[:-4]
    return numbers + struct.pack("<I", zlib.crc32(numbers))


def packed(number: int, header: bytes, body: bytes, before: bytes) -> tuple[bytes, bytes]:
    """A record in bytes, and the chain after it."""
    numbers = _NUMBERED.pack(len(header), len(body), number)
    crc = zlib.crc32(body, zlib.crc32(header, zlib.crc32(numbers)))
    chain = _chained(before, header, crc)
    return _RECORD.pack(len(header), len(body), number, crc, chain) + header + body, chain


class SegmentReader:
    """One segment, read in large pieces: to open it for each record would cost more than all the rest."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder, self._name = folder, name
        self._start, self._piece = 0, b""

    def head(self, first: int) -> tuple[int, bytes]:
        """Where the first record begins, and the chain before it; raise TornError."""
        data = self._folder.read(self._name, 0, _HEAD.size)
        if len(data) < _HEAD.size:
            raise TornError(0, "the file has no head")
        magic, found, chain, crc = _HEAD.unpack(data)
        if magic != MAGIC or found != first or zlib.crc32(data[:-4]) != crc:
            raise TornError(0, "the head is not that of this segment")
        return _HEAD.size, chain

    def record(self, offset: int, number: int, before: bytes) -> tuple[Record, int, bytes] | None:
        """The record, where the next begins, and the chain after it; None where the file ends; raise TornError."""
        prefix = self._read(offset, _RECORD.size)
        if not prefix:
            return None
        if len(prefix) < _RECORD.size:
            raise TornError(offset, "the file ends within a record")
        header_bytes, body_bytes, found, crc, chain = _RECORD.unpack(prefix)
        if found != number or header_bytes > MAX_HEADER_BYTES or body_bytes > MAX_BODY_BYTES:
            raise TornError(offset, "no record begins here")
        length = header_bytes + body_bytes
        data = self._read(offset + _RECORD.size, length)
        if len(data) < length:
            raise TornError(offset, "the file ends within a record")
        header, body = data[:header_bytes], data[header_bytes:]
        if zlib.crc32(data, zlib.crc32(prefix[: _NUMBERED.size])) != crc or _chained(before, header, crc) != chain:
            raise TornError(offset, "its checksum is wrong")
        return Record(number, header, body, self._name, offset), offset + _RECORD.size + length, chain

    def first_whole(self, offset: int, numbers: range) -> int | None:
        """The first of these records that is whole in what follows, with no sector before it that was never written."""
        rest = self._folder.read(self._name, offset, self._folder.size(self._name) - offset)
        for number in numbers:
            place = _find_record(rest, number)
            if place >= 0 and not _never_written(rest[:place], offset):
                return number
        return None

    def _read(self, offset: int, length: int) -> bytes:
        if not self._start <= offset <= offset + length <= self._start + len(self._piece):
            self._start, self._piece = offset, self._folder.read(self._name, offset, max(length, _AHEAD_BYTES))
        at = offset - self._start
        return self._piece[at : at + length]


def _chained(before: bytes, header: bytes, crc: int) -> bytes:
    return hashlib.sha256(before + header + struct.pack("<I", crc)).digest()[:16]


def _find_record(data: bytes, number: int) -> int:
    """Where a whole record of that number begins, or -1."""
    pattern, length_bytes = struct.pack("<Q", number), 8
    place = data.find(pattern, length_bytes)
    while place >= 0 and not _stands_alone(memoryview(data)[place - length_bytes :], number):
        place = data.find(pattern, place + 1)
    return place - length_bytes if place >= 0 else -1


def _stands_alone(data: memoryview, number: int) -> bool:
    if len(data) < _RECORD.size:
        return False
    header_bytes, body_bytes, found, crc, _ = _RECORD.unpack_from(data)
    end = _RECORD.size + header_bytes + body_bytes
    whole = zlib.crc32(data[_RECORD.size : end], zlib.crc32(data[: _NUMBERED.size]))
    return bool(found == number and end <= len(data) and whole == crc)


def _never_written(gap: bytes, offset: int) -> bool:
    """Whether a sector of what begins at byte `offset` of a file, or the part of a sector that is in it, is zeros."""
    start = 0
    while start < len(gap):
        end = start + _SECTOR_BYTES - (offset + start) % _SECTOR_BYTES
        part = gap[start:end]
        # No record begins with so many zeros; in the middle of one a few may well be.
        if len(part) >= (8 if start == 0 else 32) and not any(part):
            return True
        start = end
    return False
