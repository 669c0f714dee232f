"""The log of commits, and what to send to a device that stands somewhere in it."""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from thinwire.common.layout import Layout
from thinwire.common.snapshot import Snapshot, pack_snapshot
from thinwire.server.model import Commit

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class PackedSnapshot:
    """A snapshot ready to travel; `through` as in Commit, but of every device."""

    version: int
    packed: bytes
    sha256: bytes
    through: dict[str, tuple[int, int]]

    @classmethod
    def of(
        cls, snapshot: Snapshot, layout: Layout, buffers: Layout, through: dict[str, tuple[int, int]]
    ) -> PackedSnapshot:
        """Pack a snapshot; `through` must be as of its version."""
        packed = pack_snapshot(snapshot, layout, buffers)
        return cls(snapshot.version, packed, hashlib.sha256(packed).digest(), through)

    def to_parts(self) -> Iterator[bytes]:
        """What a file of it holds."""
        label = msgspec.msgpack.encode(_Label(self.version, self.sha256, self.through))
        yield _LENGTH.pack(len(label)) + label
        yield self.packed

    @classmethod
    def from_bytes(cls, data: bytes) -> PackedSnapshot:
        """Read what `to_parts` wrote; raise ValueError when it is not that."""
        try:
            (length,) = _LENGTH.unpack_from(data)
            label = msgspec.msgpack.decode(data[_LENGTH.size : _LENGTH.size + length], type=_Label)
        except (struct.error, msgspec.MsgspecError) as error:
            raise ValueError(f"no label: {error}") from None
        packed = data[_LENGTH.size + length :]
        if hashlib.sha256(packed).digest() != label.sha256:
            raise ValueError("its SHA-256 is wrong")
        return cls(label.version, packed, label.sha256, label.through)


class _Label(msgspec.Struct, frozen=True):
    version: int
    sha256: bytes
    through: dict[str, tuple[int, int]]


class CommitLog:
    """The newest commits, as many as together are smaller than a snapshot: older ones nobody would be sent.

    Catching up costs the commits after a device's version or a snapshot, whichever is smaller.
    """

    def __init__(self, limit_bytes: int, version: int = 0) -> None:
        self._commits: deque[Commit] = deque()
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self.version = version
        self.snapshot: PackedSnapshot | None = None

    def append(self, commit: Commit) -> None:
        """Add the next version."""
        self._commits.append(commit)
        self._held_bytes += len(commit.payload)
        self.version = commit.version
        while self._held_bytes > self._limit_bytes and len(self._commits) > 1:
            self._held_bytes -= len(self._commits.popleft().payload)

    def keep(self, snapshot: PackedSnapshot) -> None:
        """Remember the newest snapshot; its size is the new measure of what is worth holding."""
        self.snapshot = snapshot
        self._limit_bytes = max(len(snapshot.packed), 1)

    @property
    def usable_snapshot(self) -> PackedSnapshot | None:
        """The kept snapshot, if the log still goes on from it."""
        return self.snapshot if self.snapshot and self.reaches(self.snapshot.version) else None

    def after(self, version: int) -> Commit | None:
        """The commit that follows `version`, or None when it is not held (any more, or yet)."""
        if not self._commits:
            return None
        position = version + 1 - self._commits[0].version
        return self._commits[position] if 0 <= position < len(self._commits) else None

    def reaches(self, version: int) -> bool:
        """Whether a device at `version` can go on with commits alone."""
        return version == self.version or (version < self.version and self.after(version) is not None)
