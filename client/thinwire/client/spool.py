"""Where a snapshot waits for the trainer: a file, so that the agent's memory never holds a model.

Half a snapshot outlives the agent: beside its bytes lies what its header said, and who goes on with it hashes the bytes
again. Nothing is synced: what a power cut leaves of it shows in the hash.
"""

from __future__ import annotations

import msgspec

from thinwire.client.intake import SnapshotIntake, SnapshotSlice
from thinwire.common.disk import File, Folder
from thinwire.common.errors import DiskError
from thinwire.common.values import SnapshotHeader

PART, HEAD = "snapshot.part", "snapshot.head"
_PIECE_BYTES = 1 << 20


class _Head(msgspec.Struct, frozen=True):
    version: int
    total_bytes: int
    sha256: bytes
    included_through: int


class Spool:
    """One snapshot at a time, appended slice by slice."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._file: File | None = None
        self._generation = 0
        self.written_bytes = 0
        # A whole one was for a trainer that is gone.
        for name in folder.names():
            if name.startswith("snapshot-"):
                folder.remove(name)

    def resume(self) -> SnapshotIntake:
        """Follow what is there of a snapshot, or nothing."""
        intake = SnapshotIntake()
        try:
            if {PART, HEAD} <= set(self._folder.names()):
                head = msgspec.json.decode(self._folder.read(HEAD, 0, 4096), type=_Head)
                header = SnapshotHeader(head.total_bytes, head.sha256, head.included_through)
                size = self._folder.size(PART)
                pieces = (self._folder.read(PART, at, _PIECE_BYTES) for at in range(0, size, _PIECE_BYTES))
                intake.resume(head.version, header, pieces)
        except (DiskError, msgspec.MsgspecError):
            return SnapshotIntake()
        return intake

    def write(self, piece: SnapshotSlice) -> None:
        """Append a slice; the first one of a snapshot starts the file anew. Raise DiskError."""
        if self._file is None:
            self._file = self._folder.open(PART)
        if piece.begins:
            self._file.cut(0)
            header = piece.header
            head = _Head(piece.version, header.total_bytes, header.sha256, header.included_through)
            self._folder.jot(HEAD, msgspec.json.encode(head).ljust(256))
        self._file.append(piece.data)
        self.written_bytes += len(piece.data)

    def finish(self) -> str:
        """Close the file and give the name under which the trainer finds it, and deletes it. Raise DiskError."""
        self.close()
        self._generation += 1
        whole = f"snapshot-{self._generation}.zst"
        self._folder.rename(PART, whole)
        self._folder.remove(HEAD)
        return whole

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
