"""A disk in memory that fails as real ones do: power cuts, a full disk, errors, flipped bits.

A `SimFolder` is the twin of `OsFolder`. What a power cut leaves is drawn sector by sector, so that of two writes which
were not synced the later one may be there and the earlier one not; the end may be cut anywhere, or hold rubbish. Names
follow the same rule: a file that was removed may be back. A killed process, unlike a power cut, loses nothing that
was written.

Every change is a named point, such as `coordinator.journal.append.before`; whoever looks on may raise a Crash there.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

from thinwire.common.errors import DiskError, DiskFullError

SECTOR_BYTES = 512


class Crash(BaseException):  # no error: it ends a simulated process wherever it is, past all handlers
    """The process is gone, at this point."""

    def __init__(self, point: str) -> None:
        super().__init__(point)
        self.point = point


Reach = Callable[[str], None]


@dataclass(slots=True, eq=False)
class _Data:
    """The bytes of one file: as the process reads them, and what of them a power cut leaves for sure."""

    live: bytearray = field(default_factory=bytearray)
    safe: bytes = b""
    rotten_from: int | None = None  # a sync failed: whatever is said later, from here on nothing is sure


class SimFile:
    """See thinwire.common.disk.File."""

    def __init__(self, folder: SimFolder, name: str, data: _Data) -> None:
        self._folder, self._name, self._data = folder, name, data
        self._life = folder.life
        self.size = len(data.live)

    def append(self, data: bytes) -> None:
        """See File."""
        folder = self._folder
        folder.change(self._name, "append", self._life)
        folder.demand_room(self._name, len(data))
        folder.reach(self._name, "append.before")
        half = folder.dice.randrange(len(data) + 1)
        self._data.live += data[:half]
        folder.reach(self._name, "append.during")
        self._data.live += data[half:]
        self.size = len(self._data.live)
        folder.reach(self._name, "append.after")

    def sync(self) -> None:
        """See File."""
        self._folder.reach(self._name, "sync.before")
        try:
            self._folder.change(self._name, "sync", self._life)
        except DiskError:
            if self._data.rotten_from is None:
                self._data.rotten_from = len(self._data.safe)
            raise
        self._settle()
        self._folder.reach(self._name, "sync.after")

    def cut(self, size: int) -> None:
        """See File."""
        self._folder.change(self._name, "cut", self._life)
        self._folder.reach(self._name, "cut.before")
        del self._data.live[size:]
        self.size = size
        self._settle()
        self._folder.reach(self._name, "cut.after")

    def close(self) -> None:
        """See File."""

    def _settle(self) -> None:
        if self._data.rotten_from is None:
            self._data.safe = bytes(self._data.live)


class SimFolder:
    """See thinwire.common.disk.Folder; `owner` begins the names of its points, `dice` say what a power cut leaves."""

    def __init__(self, owner: str, dice: random.Random, reach: Reach | None = None) -> None:
        self.owner, self.dice = owner, dice
        self.life = 0
        self.full = self.read_only = False
        self.room: int | None = None
        self.written_bytes = self.syncs = self.errors = 0
        self._reach = reach
        self._names: dict[str, _Data] = {}
        self._safe_names: dict[str, _Data] = {}
        self._fails_in: int | None = None

    # -- what the product asks of it ---------------------------------------------------------------------------

    def names(self) -> list[str]:
        """See Folder."""
        return sorted(self._names)

    def size(self, name: str) -> int:
        """See Folder."""
        return len(self._found(name).live)

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See Folder."""
        self._count_down(name, "read")
        live = self._found(name).live
        return bytes(live[start:] if length is None else live[start : start + length])

    def open(self, name: str) -> SimFile:
        """See Folder."""
        if name not in self._names:
            self.change(name, "open", self.life)
            self.demand_room(name, 1)
            self.reach(name, "open.before")
            self._names[name] = _Data()
        self.reach(name, "open.during")
        self._sync_names()
        self.reach(name, "open.after")
        return SimFile(self, name, self._names[name])

    def replace(self, name: str, parts: Iterable[bytes]) -> None:
        """See Folder."""
        self.change(name, "replace", self.life)
        self.reach(name, "replace.before")
        fresh = b"".join(parts)
        self.demand_room(name, len(fresh))
        self._names[name] = _Data(bytearray(fresh), fresh)
        self.reach(name, "replace.during")
        self._sync_names()
        self.reach(name, "replace.after")

    def jot(self, name: str, data: bytes) -> None:
        """See Folder."""
        if self.full or self.read_only:
            return
        self.reach(name, "jot.before")
        found = self._names.setdefault(name, _Data())
        found.live[: len(data)] = data
        self.reach(name, "jot.after")

    def remove(self, name: str) -> None:
        """See Folder."""
        self.change(name, "remove", self.life)
        self.reach(name, "remove.before")
        self._names.pop(name, None)
        self.reach(name, "remove.after")

    def rename(self, name: str, to: str) -> None:
        """See Folder."""
        self.change(name, "rename", self.life)
        self.reach(name, "rename.before")
        self._names[to] = self._found(name)
        del self._names[name]
        self._sync_names()
        self.reach(name, "rename.after")

    def sync_names(self) -> None:
        """See Folder."""
        self._sync_names()

    def free_bytes(self) -> int:
        """Bytes that can still be written."""
        if self.full or self.read_only:
            return 0
        return 1 << 40 if self.room is None else max(0, self.room - self.used_bytes)

    def close(self) -> None:
        """Nothing is locked here."""

    # -- what befalls it ---------------------------------------------------------------------------------------

    @property
    def used_bytes(self) -> int:
        """Bytes in all files."""
        return sum(len(data.live) for data in self._names.values())

    def crash(self, *, power: bool) -> None:
        """The process is gone; with `power`, so is what was not synced, or some of it."""
        self.life += 1
        if power:
            self._names = self._names_left()
            self._safe_names = dict(self._names)
        for data in self._names.values():
            if power or data.rotten_from is not None:
                data.live = bytearray(self._left(data))
                data.safe = bytes(data.live)
            data.rotten_from = None

    def fail(self, after: int | None = 0) -> None:
        """Let an operation fail, once: the next one, or the one that comes `after` so many; None for none."""
        self._fails_in = after

    def flip(self, name: str, bit: int) -> None:
        """Turn one bit of a file around, on the disk and wherever it is read."""
        data = self._found(name)
        data.live[bit // 8] ^= 1 << bit % 8
        data.safe = bytes(data.live)

    def backup(self) -> dict[str, bytes]:
        """A copy of all files."""
        return {name: bytes(data.live) for name, data in self._names.items()}

    def restore(self, files: dict[str, bytes]) -> None:
        """Put a copy back in place of all files; nobody may have them open."""
        self.life += 1
        self._names = {name: _Data(bytearray(data), data) for name, data in files.items()}
        self._safe_names = dict(self._names)

    # -- for files ---------------------------------------------------------------------------------------------

    def reach(self, name: str, step: str) -> None:
        """A named point."""
        if self._reach is not None:
            self._reach(f"{self.owner}.{stem(name)}.{step}")

    def change(self, name: str, verb: str, life: int) -> None:
        """Count a change, and refuse it when the disk does; a process that is gone must not make any."""
        assert life == self.life, f"{self.owner} {verb}s {name} after its own end"
        self._count_down(name, verb)
        if self.read_only and verb != "sync":
            raise DiskError(f"cannot {verb} {name}: read-only file system")
        if verb == "sync":
            self.syncs += 1

    def demand_room(self, name: str, size: int) -> None:
        """Refuse what does not fit."""
        if size > self.free_bytes():
            raise DiskFullError(f"cannot write to {name}: no space left on device")
        self.written_bytes += size

    # -- inside ------------------------------------------------------------------------------------------------

    def _found(self, name: str) -> _Data:
        if name not in self._names:
            raise DiskError(f"cannot read {name}: no such file or directory")
        return self._names[name]

    def _count_down(self, name: str, verb: str) -> None:
        if self._fails_in is None:
            return
        self._fails_in -= 1
        if self._fails_in < 0:
            self._fails_in = None
            self.errors += 1
            raise DiskError(f"cannot {verb} {name}: input/output error")

    def _sync_names(self) -> None:
        self._safe_names = dict(self._names)

    def _names_left(self) -> dict[str, _Data]:
        left = {}
        for name in sorted(self._names.keys() | self._safe_names.keys()):
            candidates = (self._names.get(name), self._safe_names.get(name))
            chosen = candidates[0] if candidates[0] is candidates[1] else self.dice.choice(candidates)
            if chosen is not None:
                left[name] = chosen
        return left

    def _left(self, data: _Data) -> bytes:
        safe, live = data.safe, bytes(data.live)
        if safe == live:
            return live
        kind = self.dice.randrange(5)
        if kind == 0:
            return safe
        if kind == 1:
            return live
        if kind == 2 and len(live) > len(safe):
            return live[: self.dice.randrange(len(safe), len(live))]
        if kind == 3 and len(live) > len(safe):
            start = self.dice.randrange(len(safe), len(live))
            return live[:start] + self.dice.randbytes(len(live) - start)
        return self._sectors(safe, live)

    def _sectors(self, safe: bytes, live: bytes) -> bytes:
        left = bytearray(live)
        for start in range(0, len(live), SECTOR_BYTES):
            if self.dice.random() < 0.5:
                end = min(start + SECTOR_BYTES, len(live))
                left[start:end] = safe[start:end].ljust(end - start, b"\0")
        return bytes(left)


@cache
def stem(name: str) -> str:
    """What kind of file it is: its name without numbers and endings."""
    found = re.match(r"[a-z_]+", name)
    return found.group() if found else name
