"""Is a run's journal sound: checked record by record, beside the code that keeps it, and without its arithmetic.

    each record        checksum and chain; the bytes of an accepted delta hash to what its device sealed
    each checkpoint    its digest, the checksum of its weights, and that it tells what the entries up to it tell
    all entries        a device's deltas are numbered without a gap in each epoch, so each has one outcome; each commit
                       is the next version and takes all that was accepted since the last one

That the deltas add up to the model is what `replay` shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from thinwire.common.disk import Folder
from thinwire.common.errors import DamagedError, DiskError
from thinwire.common.log import Log
from thinwire.common.record import Record
from thinwire.server import checkpoint, entries
from thinwire.server.journal import PREFIX
from thinwire.server.state import RunState

# Damage is told, not listed: who has seen so much of it needs a backup.
MOST_PROBLEMS = 20


@dataclass(slots=True)
class Findings:
    """What was looked at, and what is wrong with it."""

    lineage: str = ""
    task: str = ""
    first: int = 0
    last: int = 0
    segments: int = 0
    bytes: int = 0
    checkpoints: int = 0
    devices: int = 0
    accepted: int = 0
    accepted_bytes: int = 0
    rejected: int = 0
    commits: int = 0
    version: int = 0
    in_buffer: int = 0
    unfinished_bytes: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


class Books:
    """Accounts, versions and the open buffer, as counts."""

    def __init__(self, state: RunState) -> None:
        self.rows = {device: (epoch, through) for device, epoch, through, *_ in state.ledger.dump()}
        self.version, self.leader_epoch = state.model.version, state.leader_epoch
        self.over = state.phase == "finished"
        self.waiting = 0

    def take(self, entry: entries.AnyEntry) -> str:
        """Add an entry; say what is wrong with it, if anything is."""
        match entry:
            case entries.Led():
                before, self.leader_epoch = self.leader_epoch, entry.leader_epoch
                return "" if entry.leader_epoch > before else f"leader epoch {entry.leader_epoch} after {before}"
            case entries.Greeted():
                before = self.rows.get(entry.device, (0, 0))[0]
                self.rows[entry.device] = (entry.epoch, 0)
                return "" if entry.epoch > before else f"epoch {entry.epoch} of {entry.device} after {before}"
            case entries.Admitted() | entries.Rejected():
                return self._settle(entry)
            case entries.Committed():
                return self._commit(entry)
            case entries.Finished():
                self.over = True
        return ""

    def differs(self, state: RunState) -> str:
        """In what a checkpoint differs from these books."""
        rows = {device: (epoch, through) for device, epoch, through, *_ in state.ledger.dump()}
        if state.model.version != self.version:
            return f"it is of version {state.model.version}, the entries up to it make {self.version}"
        return "" if rows == self.rows else "it settles other deltas than the entries up to it"

    def _settle(self, entry: entries.Admitted | entries.Rejected) -> str:
        epoch, through = self.rows.get(entry.device, (0, 0))
        self.rows[entry.device] = (entry.epoch, entry.seq)
        if (entry.epoch, entry.seq) != (epoch, through + 1):
            return (
                f"delta {entry.seq} of {entry.device} in epoch {entry.epoch}, where {through + 1} in epoch {epoch} is"
                " next: it has two outcomes, or one before it has none"
            )
        if isinstance(entry, entries.Admitted):
            self.waiting += 1
            return "a delta is accepted after the end of the training" if self.over else ""
        return ""

    def _commit(self, entry: entries.Committed) -> str:
        before, self.version = self.version, entry.version
        waiting, self.waiting = self.waiting, 0
        if entry.version != before + 1:
            return f"version {entry.version} after {before}"
        if entry.folded != waiting:
            return f"commit {entry.version} takes {entry.folded} deltas, but {waiting} were accepted since the last one"
        wrong = [device for device, account in entry.through.items() if self.rows.get(device) != account]
        return f"commit {entry.version} tells {wrong[0]} of deltas that are not settled" if wrong else ""


class Audit:
    """One reading of a run's folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._books: Books | None = None
        self.findings = Findings(bytes=sum(folder.size(name) for name in folder.names()))

    def run(self) -> Findings:
        """Look at everything; raise DiskError only where nothing can be read at all."""
        found = self.findings
        numbers = checkpoint.numbers_in(self._folder)
        if not numbers:
            self._note("there is no checkpoint: no run was begun here, or its files are gone")
        try:
            records = self._log()
            self._compare(numbers, found.first - 1)
            for record in records:
                self._look_at(record)
                self._compare(numbers, record.number)
            for number in numbers:
                self._note(f"{checkpoint.name_of(number)}: the log ends before it, at record {found.last}")
        except DamagedError as error:
            # Nothing that follows can be held against what is missing.
            self._note(str(error))
            self._books = None
            self._compare(numbers, max(numbers, default=0))
        return found

    def _log(self) -> Iterator[Record]:
        log = Log(self._folder, PREFIX)
        found = self.findings
        found.first, found.last = log.first, log.next - 1
        found.segments, found.unfinished_bytes = len(log.segments), log.torn_bytes
        return log.read(log.first)

    def _look_at(self, record: Record) -> None:
        try:
            entry = entries.decode(record.header, record.number)
        except DamagedError as error:
            self._note(f"{_place(record)}: {error}")
            return
        wrong = _hashes_wrong(entry, record.body)
        if self._books is not None:
            wrong = self._books.take(entry) or wrong
            self.findings.version, self.findings.in_buffer = self._books.version, self._books.waiting
            self.findings.devices = len(self._books.rows)
        self._count(entry, len(record.body))
        if wrong:
            self._note(f"{_place(record)}: {wrong}")

    def _count(self, entry: entries.AnyEntry, body_bytes: int) -> None:
        found = self.findings
        match entry:
            case entries.Admitted():
                found.accepted, found.accepted_bytes = found.accepted + 1, found.accepted_bytes + body_bytes
            case entries.Rejected():
                found.rejected += 1
            case entries.Committed():
                found.commits += 1

    def _compare(self, numbers: list[int], highest: int) -> None:
        """Look at the checkpoints up to an entry; the books are opened by the first that can be read."""
        while numbers and numbers[0] <= highest:
            number = numbers.pop(0)
            try:
                state = checkpoint.read(self._folder, number)
            except DiskError as error:
                self._note(f"{error}; a start goes back to the checkpoint before it")
                continue
            self._count_checkpoint(state)
            if number + 1 < self.findings.first:
                self._note(f"{checkpoint.name_of(number)}: the log begins after it, at record {self.findings.first}")
            elif self._books is None:
                self._open(state)
            elif wrong := self._books.differs(state):
                self._note(f"{checkpoint.name_of(number)}: {wrong}")

    def _count_checkpoint(self, state: RunState) -> None:
        self.findings.checkpoints += 1
        self.findings.lineage = state.identity.lineage.hex()
        self.findings.task = state.identity.task

    def _open(self, state: RunState) -> None:
        self._books = Books(state)
        self.findings.version, self.findings.devices = state.model.version, len(self._books.rows)

    def _note(self, problem: str) -> None:
        if len(self.findings.problems) < MOST_PROBLEMS:
            self.findings.problems.append(problem)


def verify(folder: Folder) -> Findings:
    """Check a run's folder; nothing is changed in it. Raise DiskError when it cannot be read."""
    return Audit(folder).run()


def _hashes_wrong(entry: entries.AnyEntry, body: bytes) -> str:
    if isinstance(entry, entries.Admitted) and hashlib.sha256(body).digest() != entry.sha256:
        return f"delta {entry.seq} of {entry.device}: its bytes are not those that the device sealed"
    return ""


def _place(record: Record) -> str:
    return f"{record.file}: record {record.number} at byte {record.offset}"
