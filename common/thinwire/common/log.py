"""An append-only log of checksummed, chained records: the coordinator's journal and the agent's outbox.

Segments are files named by the number of their first record; `thinwire.common.record` has their bytes.

A record that the last segment ends in the middle of was never synced, and is cut off when the log is opened. Whether a
broken last record had been synced is told by a watermark, a small file beside the segments that is written after each
sync: below it a broken or missing record is damage, and damage is never skipped. The watermark may be old; above it, a
broken record that a readable one follows is damage too, unless a sector in between was never written: a power cut may
have kept the later of two writes that were not synced.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from thinwire.common.disk import File, Folder
from thinwire.common.errors import DamagedError, DiskError, SyncError
from thinwire.common.record import (
    GENESIS,
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    Record,
    SegmentReader,
    TornError,
    packed,
    packed_head,
)

MARK = ".synced"  # what the watermark's name ends with
_MARK = struct.Struct("<QI")


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of the log."""

    name: str
    first: int


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
        self._chain = GENESIS
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
        data, chain = packed(self.next, header, body, self._chain)
        file.append(data)
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
        try:
            if file.size:
                file.cut(0)
            file.append(packed_head(self.next, self._chain))
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
            except TornError as torn:
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
        reader = SegmentReader(self._folder, segment.name)
        offset, self._chain = reader.head(segment.first)
        self.next = segment.first
        try:
            while (found := reader.record(offset, self.next, self._chain)) is not None:
                _, offset, self._chain = found
                self.next += 1
        except TornError as torn:
            self._refuse_synced_loss(segment, self.next, torn)
            self._refuse_hole(segment, offset, self.next + 1)
        return offset

    def _refuse_synced_loss(self, segment: Segment, number: int, torn: TornError) -> None:
        if number <= self.synced and not self._salvage:
            raise self._damaged(segment, number, torn)

    def _refuse_hole(self, segment: Segment, offset: int, follower: int) -> None:
        if self._salvage:
            return
        # A torn end has nothing readable after it. Where a later record of this log can be read, this one is damaged.
        later = SegmentReader(self._folder, segment.name).first_whole(offset, range(follower, follower + 8))
        if later is not None:
            raise DamagedError(
                f"{segment.name}: what begins at byte {offset} is damaged, and record {later} follows it; "
                "restore this folder from a backup"
            )

    def _records(self, segment: Segment, before: bytes | None) -> Iterator[tuple[Record, bytes]]:
        following = next((s.first for s in self.segments if s.first > segment.first), self.next)
        number, reader = segment.first, SegmentReader(self._folder, segment.name)
        try:
            offset, chain = reader.head(segment.first)
            if before not in (None, chain):
                raise TornError(0, "it does not go on from the segment before it")
            while number < following:
                found = reader.record(offset, number, chain)
                if found is None:
                    raise TornError(offset, "the file ends")
                record, offset, chain = found
                yield record, chain
                number += 1
        except TornError as torn:
            raise self._damaged(segment, number, torn) from None

    def _damaged(self, segment: Segment, number: int, torn: TornError) -> DamagedError:
        return DamagedError(
            f"{segment.name}: record {number} at byte {torn.offset} is damaged ({torn}); "
            "restore this folder from a backup"
        )
