"""Nothing lost, nothing twice: a history of what both sides wrote down and said, and every way in which it is wrong.

What can be seen from outside, the processes being killed at any moment, is

    the coordinator's journal   which delta was settled how, and which commit folded it
    each agent's store          which delta was sealed, with which bytes, and which outcome was heard
    answers to status           lineage, version and checksum of the model

It is told again and again while the fleet runs, so that what changes or vanishes between two readings is found as well.
The rules are those of the ledger: M2 to M7 and M9, by the letters under which docs and issues know them.

Pure: facts come in, violations are collected, each once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

ACCEPTED, REJECTED, ABANDONED = "accepted", "rejected", "abandoned"


@dataclass(frozen=True, slots=True, order=True)
class Id:
    """Which delta."""

    device: str
    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"delta {self.seq} of {self.device} in epoch {self.epoch}"


@dataclass(frozen=True, slots=True)
class Settled:
    """One side wrote down an outcome; an agent does so without the bytes' hash."""

    id: Id
    sha256: bytes
    outcome: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """An agent fixed a delta's bytes."""

    id: Id
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Committed:
    """The coordinator made a version from these deltas, and says how many they are."""

    version: int
    checksum: int
    folded: tuple[Id, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Begun:
    """A device goes on in a new epoch; what it had sealed before and is not settled is abandoned."""

    device: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Led:
    """A coordinator process took over."""

    leader_epoch: int


JournalFact = Settled | Committed | Begun | Led


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken, and the evidence in words."""

    rule: str
    evidence: str


@dataclass(slots=True)
class _Reading:
    """One reading of the journal, so far."""

    settled: dict[Id, Settled] = field(default_factory=dict)
    folded: dict[Id, int] = field(default_factory=dict)
    last: dict[str, Id] = field(default_factory=dict)
    version: int | None = None
    leader_epoch: int = 0


@dataclass(slots=True)
class Checker:
    """Collects facts; `violations` is what they contradict."""

    violations: list[Violation] = field(default_factory=list)
    sealed: dict[Id, bytes] = field(default_factory=dict)
    settled: dict[Id, Settled] = field(default_factory=dict)
    heard: dict[Id, Settled] = field(default_factory=dict)
    folded: dict[Id, int] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    _checksums: dict[int, tuple[int, str]] = field(default_factory=dict)
    _lineage: str = ""
    _version: int = -1

    # -- while it runs -----------------------------------------------------------------------------------------

    def journal(self, facts: Iterable[JournalFact]) -> None:
        """The whole journal as it is now, in its order."""
        reading = _Reading()
        for fact in facts:
            match fact:
                case Settled():
                    self._check_settled(fact, reading)
                case Committed():
                    self._check_commit(fact, reading)
                case Begun():
                    self._check_begun(fact)
                case Led():
                    if fact.leader_epoch <= reading.leader_epoch:
                        before = reading.leader_epoch
                        self.blame("M7 monotone", f"leader epoch {fact.leader_epoch} after leader epoch {before}")
                    reading.leader_epoch = fact.leader_epoch
        self._check_memory(reading)

    def store(self, facts: Iterable[Sealed | Settled]) -> None:
        """What an agent's store holds now."""
        for fact in facts:
            if isinstance(fact, Sealed):
                before = self.sealed.setdefault(fact.id, fact.sha256)
                if before != fact.sha256:
                    self.blame("M5 same bytes", f"{fact.id} is sealed as {_hex(fact.sha256)} and as {_hex(before)}")
            else:
                heard = self.heard.setdefault(fact.id, fact)
                if heard.outcome != fact.outcome:
                    self.blame("M4 one outcome", f"{fact.id} was {heard.outcome} to its agent, and now {fact.outcome}")

    def status(self, lineage: str, version: int, checksum: int) -> None:
        """An answer of the coordinator's."""
        if self._lineage and lineage != self._lineage:
            self.blame(
                "M7 monotone", f"the training began anew: lineage {lineage[:8]} after {self._lineage[:8]}, no rollback"
            )
            self._version = -1
            self._checksums.clear()
        elif version < self._version:
            self.blame("M7 monotone", f"version {version} after version {self._version}")
        self._lineage, self._version = lineage, max(version, self._version)
        self.checksum(version, checksum, "the coordinator's status")

    def checksum(self, version: int, checksum: int, by: str) -> None:
        """Somebody says what the model of a version sums up to; all must say the same, for ever."""
        first, who = self._checksums.setdefault(version, (checksum, by))
        if first != checksum:
            self.blame(
                "M6 bit for bit", f"version {version} has checksum {checksum:016x} by {by}, and {first:016x} by {who}"
            )

    def agree(self) -> None:
        """Compare both sides' books, the agents' having been read first.

        What an agent has sealed the journal may not know yet; what it was told the journal must know.
        """
        for id in sorted(set(self.heard) - set(self.settled)):
            self.blame("M5 nothing lost", f"{id} is {self.heard[id].outcome} to its agent; the journal has no such")
        for id, sha256 in self.sealed.items():
            if id in self.settled and self.settled[id].sha256 != sha256:
                theirs = _hex(self.settled[id].sha256)
                self.blame("M5 same bytes", f"{id} is sealed as {_hex(sha256)} and settled as {theirs}")
        for id, heard in self.heard.items():
            settled = self.settled.get(id)
            if settled is not None and settled.outcome != heard.outcome:
                self.blame("M4 one outcome", f"{id} is {heard.outcome} to its agent, {settled.outcome} in the journal")

    # -- at the end --------------------------------------------------------------------------------------------

    def open(self) -> set[Id]:
        """Deltas that were sealed and have no outcome yet."""
        return {id for id in self.sealed if id not in self.settled and not self._is_abandoned(id)}

    def outcomes(self) -> dict[str, int]:
        """How many deltas had each outcome."""
        counts = Counter(settled.outcome for settled in self.settled.values())
        counts[ABANDONED] = sum(id not in self.settled and self._is_abandoned(id) for id in self.sealed)
        return dict(+counts)

    def quiet(self, due: Iterable[Id], buffered_max: int) -> None:
        """All has ended. Those `due` had time to settle; `buffered_max` accepted deltas may wait for a commit."""
        self.agree()
        for id in sorted(self.open().intersection(due)):
            self.blame("M9 all settle", f"{id} was sealed and never got an outcome")
        for id in sorted(set(self.settled) - set(self.sealed) - set(self.heard)):
            self.blame("M5 nothing made up", f"{id} is in the journal and in no agent's store")
        waiting = [id for id, settled in self.settled.items() if settled.outcome == ACCEPTED and id not in self.folded]
        if len(waiting) > buffered_max:
            some = ", ".join(map(str, sorted(waiting)[:3]))
            self.blame("M2 folded once", f"{len(waiting)} accepted deltas are in no commit, for example {some}")

    # -- rules -------------------------------------------------------------------------------------------------

    def _check_settled(self, fact: Settled, reading: _Reading) -> None:
        id = fact.id
        if id in reading.settled:
            self.blame("M4 one outcome", f"{id} is settled twice in the journal")
        reading.settled[id] = fact
        before = reading.last.get(id.device)
        if before is not None and id.epoch < before.epoch:
            self.blame("M7 monotone", f"{id} is settled after epoch {before.epoch} had begun")
        # The first that is seen may be any: retention drops the beginning of a journal.
        elif before is not None and id.epoch == before.epoch and id.seq not in (before.seq, before.seq + 1):
            self.blame("M4 no gaps", f"{id} is settled after delta {before.seq}")
        reading.last[id.device] = id

    def _check_commit(self, fact: Committed, reading: _Reading) -> None:
        if reading.version is not None and fact.version != reading.version + 1:
            self.blame("M7 monotone", f"version {fact.version} is committed after version {reading.version}")
        reading.version = fact.version
        self.checksum(fact.version, fact.checksum, "the journal")
        if fact.count != len(fact.folded):
            were = f"{len(fact.folded)} were accepted since the commit before it"
            self.blame("M2 folded once", f"version {fact.version} is made of {fact.count} deltas, and {were}")
        for id in fact.folded:
            if id in reading.folded:
                self.blame("M2 folded once", f"{id} is folded into versions {reading.folded[id]} and {fact.version}")
            known = reading.settled.get(id) or self.settled.get(id)
            if known is None or known.outcome != ACCEPTED:
                was = known.outcome if known else "not settled"
                self.blame("M2 folded once", f"{id} is folded into version {fact.version}, and it was {was}")
            reading.folded[id] = fact.version

    def _check_begun(self, fact: Begun) -> None:
        if fact.epoch < self.epochs.get(fact.device, 0):
            self.blame("M7 monotone", f"{fact.device} is in epoch {fact.epoch} after {self.epochs[fact.device]}")
        self.epochs[fact.device] = fact.epoch

    def _check_memory(self, reading: _Reading) -> None:
        oldest: dict[str, Id] = {}
        for id in sorted(reading.settled):
            oldest.setdefault(id.device, id)
        for id, settled in self.settled.items():
            now = reading.settled.get(id)
            if now is None and id.device in oldest and id > oldest[id.device]:
                self.blame("M5 nothing lost", f"{id} was {settled.outcome} in the journal, and is gone from it")
            if now is not None and now != settled:
                self.blame("M4 one outcome", f"{id} was {settled.outcome} in the journal, and is {now.outcome} now")
        for id, version in reading.folded.items():
            if self.folded.get(id, version) != version:
                self.blame("M2 folded once", f"{id} was folded into version {self.folded[id]}, now into {version}")
        self.settled = reading.settled | self.settled
        self.folded = reading.folded | self.folded

    def _is_abandoned(self, id: Id) -> bool:
        return id.epoch < self.epochs.get(id.device, 0)

    def blame(self, rule: str, evidence: str) -> None:
        """Add a violation, once."""
        violation = Violation(rule, evidence)
        if violation not in self.violations:
            self.violations.append(violation)


def _hex(sha256: bytes) -> str:
    return sha256.hex()[:12]
