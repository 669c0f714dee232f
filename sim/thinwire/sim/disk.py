"""A disk in memory that fails as real ones do: power cuts, a full disk, errors, flipped bits.

A `SimFolder` is the twin of `OsFolder`. A killed process, unlike a power cut, loses nothing that was written.

Every change is a named point, such as `coordinator.journal.append.before`; whoever looks on may raise a Crash there.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from functools import cache

from thinwire.common.errors import DiskError, DiskFullError
from thinwire.sim.file import Data, SimFile
from thinwire.sim.power_cut import left, names_left


class Crash(BaseException):  # no error: it ends a simulated process wherever it is, past all handlers
    """The process is gone, at this point."""

    def __init__(self, point: str) -> None:
        super().__init__(point)
        self.point = point


Reach = Callable[[str], None]


class SimFolder:
    """See thinwire.common.disk.Folder; `owner` begins the names of its points, `dice` say what a power cut leaves."""

    def __init__(self, owner: str, dice: random.Random, reach: Reach | None = None) -> None:
        self.owner, self.dice = owner, dice
        self.life = 0
        self.full = self.read_only = False
        self.room: int | None = None
        self.written_bytes = self.syncs = self.errors = 0
        self._reach = reach
        self._names: dict[str, Data] = {}
        self._safe_names: dict[str, Data] = {}
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
            self._names[name] = Data()
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
        self._names[name] = Data(bytearray(fresh), fresh)
        self.reach(name, "replace.during")
        self._sync_names()
        self.reach(name, "replace.after")

    def jot(self, name: str, data: bytes) -> None:
        """See Folder."""
        if self.full or self.read_only:
            return
        self.reach(name, "jot.before")
        found = self._names.setdefault(name, Data())
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
            self._names = names_left(self._names, self._safe_names, self.dice)
            self._safe_names = dict(self._names)
        for data in self._names.values():
            if power or data.rotten_from is not None:
                data.live = bytearray(left(data, self.dice))
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
        self._names = {name: Data(bytearray(data), data) for name, data in files.items()}
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

    def _found(self, name: str) -> Data:
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


@cache
def stem(name: str) -> str:
    """What kind of file it is: its name without numbers and endings."""
    found = re.match(r"[a-z_]+", name)
    return found.group() if found else name
