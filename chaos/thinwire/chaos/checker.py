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

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

ACCEPTED = "accepted"


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
    """One side wrote down an outcome: "accepted", or anything else, such as "rejected: too stale"."""

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
    """The coordinator made a version from these deltas."""

    version: int
    checksum: int
    folded: tuple[Id, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken, and the evidence in words."""

    rule: str
    evidence: str


@dataclass(slots=True)
class Checker:
    """Collects facts; `violations` is what they contradict."""

    violations: list[Violation] = field(default_factory=list)
    sealed: dict[Id, bytes] = field(default_factory=dict)
    settled: dict[Id, Settled] = field(default_factory=dict)
    heard: dict[Id, Settled] = field(default_factory=dict)
    folded: dict[Id, int] = field(default_factory=dict)
    _checksums: dict[int, tuple[int, str]] = field(default_factory=dict)
    _lineage: str = ""
    _version: int = -1

    # -- while it runs -----------------------------------------------------------------------------------------

    def journal(self, facts: Iterable[Settled | Committed]) -> None:
        """The whole journal as it is now, in its order."""
        here: dict[Id, Settled] = {}
        folded: dict[Id, int] = {}
        version = None
        last: dict[str, Id] = {}
        for fact in facts:
            if isinstance(fact, Settled):
                self._check_order(fact.id, last)
                if fact.id in here:
                    self.blame("M4 one outcome", f"{fact.id} is settled twice in the journal")
                here[fact.id] = fact
            else:
                self._check_commit(fact, version, here, folded)
                version = fact.version
        self._check_memory(here, folded)

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
        """Compare both sides' books as they are; what only one side knows yet is no fault while things move."""
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
        return set(self.sealed) - set(self.settled)

    def quiet(self, due: Iterable[Id], buffered_max: int) -> None:
        """All has ended. Those `due` had time to settle; `buffered_max` accepted deltas may wait for a commit."""
        self.agree()
        for id in sorted(set(self.heard) - set(self.settled)):
            self.blame("M5 nothing lost", f"{id} is {self.heard[id].outcome} to its agent; the journal has no such")
        for id in sorted(self.open().intersection(due)):
            self.blame("M9 all settle", f"{id} was sealed and never got an outcome")
        for id in sorted(set(self.settled) - set(self.sealed) - set(self.heard)):
            self.blame("M5 nothing made up", f"{id} is in the journal and in no agent's store")
        waiting = [id for id, settled in self.settled.items() if settled.outcome == ACCEPTED and id not in self.folded]
        if len(waiting) > buffered_max:
            some = ", ".join(map(str, sorted(waiting)[:3]))
            self.blame("M2 folded once", f"{len(waiting)} accepted deltas are in no commit, for example {some}")

    # -- rules -------------------------------------------------------------------------------------------------

    def _check_order(self, id: Id, last: dict[str, Id]) -> None:
        before = last.get(id.device)
        if before is not None and id.epoch < before.epoch:
            self.blame("M7 monotone", f"{id} is settled after epoch {before.epoch} had begun")
        # The first that is seen may be any: retention drops the beginning of a journal.
        elif before is not None and id.epoch == before.epoch and id.seq not in (before.seq, before.seq + 1):
            self.blame("M4 no gaps", f"{id} is settled after delta {before.seq}")
        last[id.device] = id

    def _check_commit(
        self, fact: Committed, before: int | None, here: dict[Id, Settled], folded: dict[Id, int]
    ) -> None:
        if before is not None and fact.version != before + 1:
            self.blame("M7 monotone", f"version {fact.version} is committed after version {before}")
        self.checksum(fact.version, fact.checksum, "the journal")
        for id in fact.folded:
            if id in folded:
                self.blame("M2 folded once", f"{id} is folded into versions {folded[id]} and {fact.version}")
            known = here.get(id) or self.settled.get(id)
            if known is None or known.outcome != ACCEPTED:
                was = known.outcome if known else "not settled"
                self.blame("M2 folded once", f"{id} is folded into version {fact.version}, and it was {was}")
            folded[id] = fact.version

    def _check_memory(self, here: dict[Id, Settled], folded: dict[Id, int]) -> None:
        oldest: dict[str, Id] = {}
        for id in sorted(here):
            oldest.setdefault(id.device, id)
        for id, settled in self.settled.items():
            now = here.get(id)
            if now is None and id.device in oldest and id > oldest[id.device]:
                self.blame("M5 nothing lost", f"{id} was {settled.outcome} in the journal, and is gone from it")
            if now is not None and now != settled:
                self.blame("M4 one outcome", f"{id} was {settled.outcome} in the journal, and is {now.outcome} now")
        for id, version in folded.items():
            if self.folded.get(id, version) != version:
                self.blame("M2 folded once", f"{id} was folded into version {self.folded[id]}, now into {version}")
        self.settled.update({id: self.settled.get(id, settled) for id, settled in here.items()})
        self.folded.update({id: self.folded.get(id, version) for id, version in folded.items()})

    def blame(self, rule: str, evidence: str) -> None:
        """Add a violation, once."""
        violation = Violation(rule, evidence)
        if violation not in self.violations:
            self.violations.append(violation)


def tally(settled: Iterable[Settled]) -> dict[str, int]:
    """How many deltas had each outcome."""
    counts: dict[str, int] = defaultdict(int)
    for one in settled:
        counts[one.outcome] += 1
    return dict(counts)


def _hex(sha256: bytes) -> str:
    return sha256.hex()[:12]
