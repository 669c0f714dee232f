"""A core and its journal: what the core decides may be told to the world once it is written and safe.

    handle   the core takes an event, its Writes are appended; the other effects get the number they wait for
    sync     everything appended becomes safe; the effects up to that number may be carried out

Many events share one sync. With a full disk the entries wait in memory and nothing that depends on them is told.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from thinwire.common.errors import DiskFullError
from thinwire.server import entries
from thinwire.server.core import CoordinatorCore, refused_for_room
from thinwire.server.effects import Effect, Published, Recognised, Refused, Write
from thinwire.server.events import Event, Greeted
from thinwire.server.journal import Journal
from thinwire.server.state import Frozen

log = logging.getLogger("thinwire.server")


@dataclass(frozen=True, slots=True)
class Decided:
    """Effects to carry out, in order, once entries up to `after` are safe."""

    effects: list[Effect]
    after: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state to write down, as of entry `number`."""

    number: int
    frozen: Frozen
    vectors: Mapping[str, NDArray[np.float32]]


class Recorder:
    """Writes what one core decides; without a journal everything counts as safe at once."""

    def __init__(self, core: CoordinatorCore, journal: Journal | None) -> None:
        self.core, self.journal = core, journal
        self._held: deque[Write] = deque()
        self._due: Checkpoint | None = None

    @property
    def full(self) -> bool:
        """Whether entries wait for room on the disk; no event should come until `retry` says that they are written."""
        return bool(self._held)

    @property
    def last(self) -> int:
        """The number of the last entry, written or waiting."""
        return self.journal.last + len(self._held) if self.journal else 0

    def handle(self, event: Event, now: float) -> Decided:
        """Have the core take an event, and append what it writes; raise DiskError but for a full disk."""
        effects = self.core.handle(event, now)
        self._held.extend(effect for effect in effects if isinstance(effect, Write))
        self.retry()
        if any(isinstance(effect, Published) for effect in effects) or (self.journal and self.journal.stormy):
            self._consider_checkpoint()
        return Decided([effect for effect in effects if not isinstance(effect, Write)], self.last)

    def recall(self, event: Greeted) -> Recognised | Refused:
        """What a device may be told while entries wait for room: of these it must not hear."""
        held = [write.entry for write in self._held]
        if any(isinstance(entry, entries.Greeted) and entry.device == event.device for entry in held):
            return refused_for_room(event.device)
        found = self.core.recall(event)
        if isinstance(found, Refused):
            return found
        settled = (entry for entry in held if isinstance(entry, entries.Admitted | entries.Rejected))
        unsafe = {entry.seq for entry in settled if entry.device == event.device}
        return replace(found, outcomes=tuple(outcome for outcome in found.outcomes if outcome.seq not in unsafe))

    def retry(self) -> bool:
        """Append what waits; whether all of it is written."""
        while self._held:
            if self.journal is not None:
                try:
                    self.journal.write(self._held[0].entry, self._held[0].body)
                except DiskFullError:
                    return False
            self._held.popleft()
        return True

    def sync(self) -> int:
        """Make everything appended safe; give the number of the last entry that is. Raise DiskError."""
        return self.journal.sync() if self.journal else 0

    @property
    def next_bytes(self) -> int:
        """About what the next checkpoint and the next commit take on the disk."""
        return self.journal.next_bytes if self.journal else 0

    def give_up_oldest(self) -> bool:
        """Give up the oldest part of the history for room; whether there was one to spare. Raise DiskError."""
        given_up = self.journal is not None and self.journal.give_up_oldest()
        if given_up:
            log.warning("little room is left: the oldest checkpoint, and the entries that follow it, are given up")
        return given_up

    def take_checkpoint(self) -> Checkpoint | None:
        """A state that is worth writing down, if there is one; `journal.checkpoint` does it, in its own time."""
        due, self._due = self._due, None
        return due

    def _consider_checkpoint(self) -> None:
        # The buffer is empty right after a commit, and until the next delta.
        state = self.core.state
        empty = not self._held and not state.fold.count and not state.diverged
        # A copy for which there is no time to be written would stop the core for nothing.
        idle = self.journal is not None and self._due is None and not self.journal.checkpointing
        if self.journal is not None and self.journal.checkpoint_due and empty and idle:
            self._due = Checkpoint(self.journal.last, *self.core.state.freeze())
            self.journal.count_anew()
