"""A file of the simulated disk: what a process reads of it, and what of it is safe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thinwire.common.errors import DiskError

if TYPE_CHECKING:
    from thinwire.sim.disk import SimFolder


@dataclass(slots=True, eq=False)
class Data:
    """The bytes of one file: as the process reads them, and what of them a power cut leaves for sure."""

    live: bytearray = field(default_factory=bytearray)
    safe: bytes = b""
    rotten_from: int | None = None  # a sync failed: whatever is said later, from here on nothing is sure


class SimFile:
    """See thinwire.common.disk.File."""

    def __init__(self, folder: SimFolder, name: str, data: Data) -> None:
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
