"""An append-only log of checksummed, chained records: the coordinator's journal and the agent's outbox.

Segments are files named by the number of their first record. Each begins with a head, then records follow:

    head      8s magic | u64 first | 16s chain before it | u32 crc
    record    u32 header length | u32 body length | u64 number | u32 crc | 16s chain | header | body

The crc (CRC-32) covers lengths, number, header and body; the chain is SHA-256 over the chain before, the header and the
crc, cut to 16 bytes, so a record can neither be changed nor moved, left out or put in. All integers are little-endian.

A record that the last segment ends in the middle of was never synced, and is cut off when the log is opened. Whether a
broken last record had been synced is told by a watermark, a small file beside the segments that is written after each
sync: below it a broken or missing record is damage, and damage is never skipped. The watermark may be old; above it, a
broken record that a readable one follows is damage too, unless a sector in between was never written: a power cut may
have kept the later of two writes that were not synced.
"""

from __future__ import annotations

import hashlib
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from thinwire.common.disk import File, Folder
from thinwire.common.errors import DamagedError, DiskError, SyncError

MAGIC = b"TWLOG\x001\n"
MARK = ".synced"  # what the watermark's name ends with
MAX_HEADER_BYTES = 32 << 20  # a commit names every device that is in it
AHEAD_BYTES = 1 << 18
MAX_BODY_BYTES = 512 << 20
_HEAD = struct.Struct("<8sQ16sI")
_RECORD = struct.Struct("<IIQI16s")
_NUMBERED = struct.Struct("<IIQ")
_MARK = struct.Struct("<QI")
_GENESIS = bytes(16)
_SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `number` counts from 1 over the whole log, `offset` is where in its file it begins."""

    number: int
    header: bytes
    body: bytes
    file: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of the log."""

    name: str
    first: int


class _TornError(Exception):
    """The file ends, or turns into something else, at this offset."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.offset = offset


class Log:
    """Records of one log, appended by one process; opening it cuts off what was torn.

    With `salvage` a damaged end is cut off like a torn one: for readers who want what is before it.
    """

    def __init__(self, folder: Folder, prefix: str, segment_bytes: int = 64 << 20, *, salvage: bool = False) -> None:
        self._folder, self._prefix, self._segment_bytes = folder, prefix, segment_bytes
        self._salvage = salvage
        self.segments = self._find()
        self.synced = self._read_mark()
        self.next = 1
        self.torn_bytes = 0
        self._chain = _GENESIS
        self._file: File | None = None
        self._failure: SyncError | None = None
        self._closed = False
        # One thread may append while another syncs; a segment must not be closed meanwhile.
        self._turn = threading.Lock()
        if self.segments:
            self._reopen()
        if self.next <= self.synced and not salvage:
            raise DamagedError(
                f"{prefix} ends before record {self.next}, but {self.synced} records were synced; "
                "restore this folder from a backup"
            )

    @property
    def first(self) -> int:
        """The number of the oldest record that is kept, or would be."""
        return self.segments[0].first if self.segments else self.next

    def append(self, header: bytes, body: bytes = b"") -> int:
        """Add a record and give its number; it is safe after the next `sync`. Raise DiskError, SyncError."""
        if len(header) > MAX_HEADER_BYTES or len(body) > MAX_BODY_BYTES:
            # It could be written, but never read again.
            raise DiskError(f"a record of {len(header)} + {len(body)} bytes is larger than {self._prefix} can hold")
        file = self._writable()
        numbers = _NUMBERED.pack(len(header), len(body), self.next)
        crc = zlib.crc32(body, zlib.crc32(header, zlib.crc32(numbers)))
        chain = _chained(self._chain, header, crc)
        packed = _RECORD.pack(len(header), len(body), self.next, crc, chain) + header
        file.append(packed + body)
        self._chain, self.next = chain, self.next + 1
        return self.next - 1

    def sync(self) -> int:
        """Make all that was appended survive; give the number up to which it does. Raise SyncError, for good."""
        with self._turn:
            upto = self.next - 1
            if self._file is not None and upto > self.synced:
                self._sync_file(self._file)
            self.mark(upto)
            return upto

    def mark(self, upto: int) -> None:
        """Take note that all records up to this one are safe."""
        if upto > self.synced:
            self.synced = upto
            numbers = struct.pack("<Q", upto)
            self._folder.jot(self._mark_name, numbers + struct.pack("<I", zlib.crc32(numbers)))

    def read(self, start: int) -> Iterator[Record]:
        """Records from `start` on; raise DamagedError where they do not follow each other."""
        if start < self.first:
            raise DamagedError(f"record {start} is asked for, but {self._prefix} begins at {self.first}")
        kept = [segment for segment in self.segments if segment.first <= start][-1:]
        chain: bytes | None = None
        for segment in kept + [segment for segment in self.segments if segment.first > start]:
            for record, after in self._records(segment, chain):
                chain = after
                if record.number >= start:
                    yield record

    def drop_before(self, number: int) -> None:
        """Delete the segments that hold only records below `number`."""
        while len(self.segments) > 1 and self.segments[1].first <= number:
            self._folder.remove(self.segments.pop(0).name)
            # One after the other: a power cut that brought back an older one alone would leave a hole.
            self._folder.sync_names()

    def close(self) -> None:
        """Let go of the files, for good: whoever still has something to write is refused."""
        self._closed = True
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- writing -----------------------------------------------------------------------------------------------

    def _writable(self) -> File:
        if self._closed:
            # Another process may have the folder by now.
            raise DiskError(f"{self._prefix} is closed")
        if self._file is not None and self._file.size < self._segment_bytes:
            return self._file
        return self._begin_segment()

    def _begin_segment(self) -> File:
        if self._file is not None:
            # What is in the older segment must not be less safe than what follows it.
            with self._turn:
                self._sync_file(self._file)
                self._file.close()
                self._file = None
        name = f"{self._prefix}-{self.next:016d}.log"
        file = self._folder.open(name)
        numbers = _HEAD.pack(MAGIC, self.next, self._chain, 0)[:-4]
        try:
            if file.size:
                file.cut(0)
            file.append(numbers + struct.pack("<I", zlib.crc32(numbers)))
        except DiskError:
            # It is tried again for as long as the disk is full.
            file.close()
            raise
        self.segments.append(Segment(name, self.next))
        self._file = file
        return file

    def _sync_file(self, file: File) -> None:
        # The kernel tells of a failed write-back once, and takes the pages for clean: to ask again would be answered
        # with success. Only a new start, which reads what is there, knows.
        if self._failure is not None:
            raise self._failure
        try:
            file.sync()
        except DiskError as error:
            self._failure = SyncError(str(error))
            raise self._failure from None

    @property
    def _mark_name(self) -> str:
        return self._prefix + MARK

    # -- reading -----------------------------------------------------------------------------------------------

    def _find(self) -> list[Segment]:
        start, end = f"{self._prefix}-", ".log"
        named = (name for name in self._folder.names() if name.startswith(start) and name.endswith(end))
        numbered = ((name, name[len(start) : -len(end)]) for name in named)
        return sorted(
            (Segment(name, int(number)) for name, number in numbered if number.isdigit()), key=lambda s: s.first
        )

    def _read_mark(self) -> int:
        if self._mark_name not in self._folder.names():
            return 0
        data = self._folder.read(self._mark_name, 0, _MARK.size)
        if len(data) != _MARK.size:
            return 0
        upto, crc = _MARK.unpack(data)
        return int(upto) if zlib.crc32(data[:8]) == crc else 0

    def _reopen(self) -> None:
        while True:
            last = self.segments[-1]
            try:
                end = self._walk_last(last)
                break
            except _TornError as torn:
                # A segment whose very head is torn holds nothing; the one before it ends the log.
                self._refuse_synced_loss(last, last.first, torn)
                self._refuse_hole(last, 0, last.first)
                self._folder.remove(self.segments.pop().name)
                if not self.segments:
                    return
        self._file = self._folder.open(last.name)
        if self._file.size > end:
            self.torn_bytes = self._file.size - end
            self._file.cut(end)
        # What a killed process had written and not synced is read as if it had been: from now on it must be.
        self._file.sync()
        self.mark(self.next - 1)

    def _walk_last(self, segment: Segment) -> int:
        offset, self._chain = self._read_head(segment)
        self.next = segment.first
        ahead = _Ahead(self._folder, segment.name)
        try:
            while (found := self._read_record(ahead, offset, self.next, self._chain)) is not None:
                _, offset, self._chain = found
                self.next += 1
        except _TornError as torn:
            self._refuse_synced_loss(segment, self.next, torn)
            self._refuse_hole(segment, offset, self.next + 1)
        return offset

    def _refuse_synced_loss(self, segment: Segment, number: int, torn: _TornError) -> None:
        if number <= self.synced and not self._salvage:
            raise self._damaged(segment, number, torn)

    def _refuse_hole(self, segment: Segment, offset: int, follower: int) -> None:
        if self._salvage:
            return
        # A torn end has nothing readable after it. Where a later record of this log can be read, this one is damaged.
        rest = self._folder.read(segment.name, offset, self._folder.size(segment.name) - offset)
        for later in range(follower, follower + 8):
            place = _find_record(rest, later)
            if place >= 0 and not _never_written(rest[:place], offset):
                raise DamagedError(
                    f"{segment.name}: what begins at byte {offset} is damaged, and record {later} follows it; "
                    "restore this folder from a backup"
                )

    def _records(self, segment: Segment, before: bytes | None) -> Iterator[tuple[Record, bytes]]:
        following = next((s.first for s in self.segments if s.first > segment.first), self.next)
        number = segment.first
        try:
            offset, chain = self._read_head(segment)
            if before not in (None, chain):
                raise _TornError(0, "it does not go on from the segment before it")
            ahead = _Ahead(self._folder, segment.name)
            while number < following:
                found = self._read_record(ahead, offset, number, chain)
                if found is None:
                    raise _TornError(offset, "the file ends")
                record, offset, chain = found
                yield record, chain
                number += 1
        except _TornError as torn:
            raise self._damaged(segment, number, torn) from None

    def _damaged(self, segment: Segment, number: int, torn: _TornError) -> DamagedError:
        return DamagedError(
            f"{segment.name}: record {number} at byte {torn.offset} is damaged ({torn}); "
            "restore this folder from a backup"
        )

    def _read_head(self, segment: Segment) -> tuple[int, bytes]:
        data = self._folder.read(segment.name, 0, _HEAD.size)
        if len(data) < _HEAD.size:
            raise _TornError(0, "the file has no head")
        magic, first, chain, crc = _HEAD.unpack(data)
        if magic != MAGIC or first != segment.first or zlib.crc32(data[:-4]) != crc:
            raise _TornError(0, "the head is not that of this segment")
        return _HEAD.size, chain

    def _read_record(
        self, ahead: _Ahead, offset: int, number: int, before: bytes
    ) -> tuple[Record, int, bytes] | None:
        prefix = ahead.read(offset, _RECORD.size)
        if not prefix:
            return None
        if len(prefix) < _RECORD.size:
            raise _TornError(offset, "the file ends within a record")
        header_bytes, body_bytes, found, crc, chain = _RECORD.unpack(prefix)
        if found != number or header_bytes > MAX_HEADER_BYTES or body_bytes > MAX_BODY_BYTES:
            raise _TornError(offset, "no record begins here")
        length = header_bytes + body_bytes
        data = ahead.read(offset + _RECORD.size, length)
        if len(data) < length:
            raise _TornError(offset, "the file ends within a record")
        header, body = data[:header_bytes], data[header_bytes:]
        if zlib.crc32(data, zlib.crc32(prefix[: _NUMBERED.size])) != crc or _chained(before, header, crc) != chain:
            raise _TornError(offset, "its checksum is wrong")
        record = Record(number, header, body, ahead.name, offset)
        return record, offset + _RECORD.size + length, chain


class _Ahead:
    """One file, read in large pieces: to open it for each record would cost more than all the rest."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder, self.name = folder, name
        self._start, self._piece = 0, b""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file, fewer where it ends."""
        if not self._start <= offset <= offset + length <= self._start + len(self._piece):
            self._start, self._piece = offset, self._folder.read(self.name, offset, max(length, AHEAD_BYTES))
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
