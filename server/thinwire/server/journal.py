"""One run on disk: a log of entries, and checkpoints of what they add up to.

    recovery = newest readable checkpoint + every entry after it

Two checkpoints are always kept, and the log from the older one on, so one that has gone bad costs a longer replay.
What is older stays for rollback and audit until the folder outgrows `keep_bytes`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinwire.common.disk import Folder
from thinwire.common.errors import DamagedError, DiskError
from thinwire.common.log import Log
from thinwire.server import checkpoint, entries
from thinwire.server.commits import PackedSnapshot
from thinwire.server.entries import AnyEntry, Entry
from thinwire.server.model import Commit
from thinwire.server.state import Frozen, RunState

Vector = NDArray[np.float32]
PREFIX = "journal"
SNAPSHOT = "snapshot.packed"
# An entry costs about 0.4 ms to replay however small it is, and a restart should take seconds also on a machine whose
# processors are busy with the very fleet that waits: with 1,300 entries it took 9 s there.
CHECKPOINT_ENTRIES = 1000
# A checkpoint costs what it weighs, and the core stands still while its state is copied, so the next one waits for so
# much journal for each of its bytes; but for no more entries than these.
CHECKPOINT_SHARE = 0.25
MOST_ENTRIES = 5000
# Devices that come and go without end write entries, too; so many take seconds to read again.
STORM_ENTRIES = 50_000

log = logging.getLogger("thinwire.server")


@dataclass(frozen=True, slots=True)
class Recovered:
    """A run as it was: its state, the newest commits in order, and how much there was to do."""

    state: RunState
    commits: tuple[Commit, ...]
    replayed: int
    torn_bytes: int


class Journal:
    """The journal of one run; opening it cuts off what was torn, and with `salvage` what is damaged at its end."""

    def __init__(
        self,
        folder: Folder,
        *,
        checkpoint_bytes: int = 128 << 20,
        keep_bytes: int = 1 << 30,
        segment_bytes: int = 64 << 20,
        salvage: bool = False,
    ) -> None:
        self.folder = folder
        self._checkpoint_bytes, self._keep_bytes = checkpoint_bytes, keep_bytes
        self._log = Log(folder, PREFIX, segment_bytes, salvage=salvage)
        self._bytes_since = self._entries_since = self._largest_body = 0
        self._newest_bytes = sum(folder.size(checkpoint.name_of(n)) for n in checkpoint.numbers_in(folder)[-1:])
        # A checkpoint must be known to be good before anything older is given up for it.
        self._checkpoints = threading.Lock()

    @property
    def empty(self) -> bool:
        """Whether no run was ever begun here."""
        return not checkpoint.numbers_in(self.folder)

    @property
    def last(self) -> int:
        """The number of the last entry."""
        return self._log.next - 1

    @property
    def checkpoint_due(self) -> bool:
        """Whether so much was written since the last checkpoint that a restart would take long."""
        if self._entries_since >= MOST_ENTRIES or self.stormy:
            return True
        much = self._bytes_since >= self._checkpoint_bytes or self._entries_since >= CHECKPOINT_ENTRIES
        return much and self._bytes_since >= CHECKPOINT_SHARE * self._newest_bytes

    @property
    def checkpointing(self) -> bool:
        """Whether a checkpoint is being written."""
        return self._checkpoints.locked()

    @property
    def next_bytes(self) -> int:
        """What the next checkpoint and the next commit take, if they are no larger than those before."""
        return self._newest_bytes + self._largest_body

    @property
    def stormy(self) -> bool:
        """Whether so many entries came that a checkpoint cannot wait for the next commit."""
        return self._entries_since >= STORM_ENTRIES

    def count_anew(self) -> None:
        """A state was taken for a checkpoint; the next one is due after as much again, whatever becomes of this one."""
        self._bytes_since = self._entries_since = 0

    def begin(self, state: RunState) -> None:
        """Write down how a run begins."""
        self.checkpoint(self.last, *state.freeze())

    def write(self, entry: Entry, body: bytes = b"") -> int:
        """Append an entry and give its number; it is safe after `sync`. Raise DiskError."""
        number = self._log.append(entries.encode(entry), body)
        self._count(body)
        return number

    def sync(self) -> int:
        """Make all entries safe; give the number of the last of them. Raise DiskError."""
        return self._log.sync()

    def checkpoint(self, number: int, frozen: Frozen, vectors: Mapping[str, Vector]) -> None:
        """Write the state as of an entry, then give up what is no longer needed. Raise DiskError."""
        # A checkpoint must never know of an entry that a power cut could still take out of the log.
        self._log.sync()
        with self._checkpoints:
            checkpoint.write(self.folder, number, frozen, vectors)
            self._newest_bytes = self.folder.size(checkpoint.name_of(number))
            while self._held_bytes() > self._keep_bytes and self._drop_oldest():
                pass

    def give_up_oldest(self) -> bool:
        """Give up the oldest checkpoint, and the entries before the next, for room; whether it could be spared.

        Two are kept, and all of them while another one is being written. Raise DiskError.
        """
        if not self._checkpoints.acquire(blocking=False):
            return False
        try:
            return self._drop_oldest()
        finally:
            self._checkpoints.release()

    def keep(self, snapshot: PackedSnapshot) -> None:
        """Write down a snapshot that devices are being sent, for those that are cut off in the middle of it."""
        self.folder.replace(SNAPSHOT, snapshot.to_parts())

    def kept(self) -> PackedSnapshot | None:
        """The snapshot that was written down last, if it can be read."""
        if SNAPSHOT not in self.folder.names():
            return None
        try:
            return PackedSnapshot.from_bytes(self.folder.read(SNAPSHOT))
        except (ValueError, DiskError) as error:
            log.warning("%s is of no use, and made anew when a device asks: %s", SNAPSHOT, error)
            return None

    def recover(self, through_version: int | None = None) -> Recovered:
        """The run as its entries left it, or left it at a version; raise DamagedError where they do not add up."""
        number, state = self._newest(through_version)
        commits = list(self._earlier_commits(number))
        replayed = 0
        for at, entry, body in self.read(number + 1):
            # What was accepted after the last commit that is wanted belongs to the next one.
            if state.model.version == through_version:
                break
            commit = state.apply(entry, body, at)
            commits += [commit] if commit else []
            replayed += 1
            self._count(body)
        return Recovered(state, tuple(commits), replayed, self._log.torn_bytes)

    def read(self, start: int) -> Iterator[tuple[int, AnyEntry, bytes]]:
        """Number, entry and body from a number on; raise DamagedError where there is a hole."""
        for record in self._log.read(start):
            yield record.number, entries.decode(record.header, record.number), record.body

    @property
    def first(self) -> int:
        """The number of the oldest entry that is kept."""
        return self._log.first

    def close(self) -> None:
        """Let go of the files."""
        self._log.close()

    def _count(self, body: bytes) -> None:
        self._bytes_since += len(body)
        self._largest_body = max(self._largest_body, len(body))
        self._entries_since += 1

    def _newest(self, through_version: int | None) -> tuple[int, RunState]:
        numbers = checkpoint.numbers_in(self.folder)
        foreign: checkpoint.OtherFormatError | None = None
        for number in reversed(numbers):
            try:
                state = checkpoint.read(self.folder, number)
            except DamagedError as error:
                foreign = error if isinstance(error, checkpoint.OtherFormatError) else foreign
                log.error("%s; going back to the checkpoint before it", error)
                continue
            if through_version is None or state.model.version <= through_version:
                return self._followed(number), state
        if foreign is not None:
            raise foreign
        wanted = "" if through_version is None else f" at or before version {through_version}"
        raise DamagedError(f"none of {len(numbers)} checkpoints{wanted} can be read; restore this folder from a backup")

    def _followed(self, number: int) -> int:
        if not self._log.first <= number + 1 <= self._log.next:
            raise DamagedError(
                f"{checkpoint.name_of(number)} is of entry {number}, but the log holds {self.first} to {self.last};"
                " restore this folder from a backup"
            )
        return number

    def _earlier_commits(self, number: int) -> Iterator[Commit]:
        # Devices that are a little behind go on with these instead of a whole snapshot.
        older = [other for other in checkpoint.numbers_in(self.folder) if other < number][-1:]
        start = max(self._log.first, *(other + 1 for other in older)) if older else number + 1
        for at, entry, body in self.read(start):
            if at > number:
                return
            if isinstance(entry, entries.Committed):
                yield commit_of(entry, body)

    def _drop_oldest(self) -> bool:
        numbers = checkpoint.numbers_in(self.folder)
        if len(numbers) <= 2:
            return False
        self.folder.remove(checkpoint.name_of(numbers[0]))
        # It must not be back after a power cut when the entries that follow it are gone.
        self.folder.sync_names()
        self._log.drop_before(numbers[1] + 1)
        return True

    def _held_bytes(self) -> int:
        return sum(self.folder.size(name) for name in self.folder.names())


def commit_of(entry: entries.Committed, body: bytes) -> Commit:
    """The commit that an entry holds."""
    return Commit(entry.version, body, entry.buffer_bytes, entry.kept, entry.folded, entry.through, entry.checksum)

