"""Chunks from the coordinator become whole commits and snapshots; what does not fit ends the stream, kindly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from thinwire.common.values import CommitChunk, CommitHeader, SnapshotChunk, SnapshotHeader

# More than any commit of a model that a device could train; a guard, not a setting.
MAX_COMMIT_BYTES = 256 << 20
MAX_SNAPSHOT_BYTES = 16 << 30


class IntakeError(ValueError):
    """Chunks that do not follow each other; the stream is opened anew."""


@dataclass(frozen=True, slots=True)
class WholeCommit:
    """A commit, packed."""

    version: int
    header: CommitHeader
    payload: bytes


class CommitIntake:
    """Joins the chunks of one commit after another."""

    def __init__(self) -> None:
        self._version = 0
        self._header: CommitHeader | None = None
        self._held = bytearray()

    @property
    def busy(self) -> bool:
        """Whether a commit is under way."""
        return self._header is not None

    def take(self, chunk: CommitChunk) -> WholeCommit | None:
        """Add a chunk; the commit when it is complete."""
        if chunk.header is not None:
            self._begin(chunk.version, chunk.header)
        if self._header is None or chunk.version != self._version or chunk.offset != len(self._held):
            raise IntakeError(f"commit {chunk.version} goes on at byte {chunk.offset}, which does not follow")
        self._held += chunk.data
        if len(self._held) < self._header.total_bytes:
            return None
        if len(self._held) > self._header.total_bytes:
            raise IntakeError(
                f"commit {chunk.version} is longer than the {self._header.total_bytes} bytes it declared"
            )
        whole = WholeCommit(self._version, self._header, bytes(self._held))
        self._header = None
        return whole

    def _begin(self, version: int, header: CommitHeader) -> None:
        if header.total_bytes > MAX_COMMIT_BYTES:
            raise IntakeError(
                f"commit {version} declares {header.total_bytes} bytes; at most {MAX_COMMIT_BYTES}"
            )
        self._version, self._header = version, header
        self._held = bytearray()


@dataclass(frozen=True, slots=True)
class SnapshotSlice:
    """Bytes for the spool: where they go, and whether the file begins anew or is complete and right."""

    version: int
    data: bytes
    begins: bool
    complete: bool
    header: SnapshotHeader

    @property
    def included_through(self) -> int:
        """Own deltas up to this number are settled in it."""
        return self.header.included_through


class SnapshotIntake:
    """Follows one snapshot into the spool, across streams: after a break it goes on at `received_bytes`."""

    def __init__(self) -> None:
        self.version = 0
        self.received_bytes = 0
        self._header: SnapshotHeader | None = None
        self._hash = hashlib.sha256()

    def take(self, chunk: SnapshotChunk) -> SnapshotSlice:
        """Add a chunk."""
        begins = chunk.header is not None and self._begin(chunk.version, chunk.header, chunk.offset)
        if self._header is None or chunk.version != self.version or chunk.offset != self.received_bytes:
            raise IntakeError(
                f"snapshot {chunk.version} goes on at byte {chunk.offset}, which does not follow"
            )
        self.received_bytes += len(chunk.data)
        if self.received_bytes > self._header.total_bytes:
            raise IntakeError(f"snapshot {chunk.version} is longer than it declared")
        self._hash.update(chunk.data)
        return SnapshotSlice(self.version, chunk.data, begins, self._close(), self._header)

    def resume(self, version: int, header: SnapshotHeader, pieces: Iterable[bytes]) -> None:
        """Go on with what an earlier agent had received; nothing is resumed when that cannot be part of it."""
        received_bytes = 0
        self._hash = hashlib.sha256()
        for piece in pieces:
            self._hash.update(piece)
            received_bytes += len(piece)
        if 0 < received_bytes < header.total_bytes <= MAX_SNAPSHOT_BYTES:
            self.version, self._header, self.received_bytes = version, header, received_bytes
        else:
            self.forget()

    def forget(self) -> None:
        """Start the next snapshot from its first byte."""
        self.version, self.received_bytes = 0, 0
        self._header, self._hash = None, hashlib.sha256()

    def _begin(self, version: int, header: SnapshotHeader, offset: int) -> bool:
        if header.total_bytes > MAX_SNAPSHOT_BYTES:
            raise IntakeError(f"snapshot {version} declares {header.total_bytes} bytes")
        resumes = offset > 0 and self._header is not None and header.sha256 == self._header.sha256
        if not resumes:
            self.forget()
        self.version, self._header = version, header
        return not resumes

    def _close(self) -> bool:
        assert self._header is not None
        if self.received_bytes < self._header.total_bytes:
            return False
        if self._hash.digest() != self._header.sha256:
            self.forget()
            raise IntakeError("the snapshot does not hash to what its header declared")
        return True
