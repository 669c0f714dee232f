"""What one lineage came to, by its own journal: each delta's outcome, who has which tokens in the model, what was told.

A book is copied when a machine is backed up and put back with it, and a lineage that a rollback begins starts from what
the one before it had come to at that version. So what must hold is always what holds within what survives.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from thinwire.server import entries
from thinwire.sim.lives import EPOCHS, Identity
from thinwire.sim.tokens import Count, doubled
from thinwire.sim.told import Told
from thinwire.sim.violation import demand


@dataclass(frozen=True, slots=True)
class Written:
    """One journal entry, and the tokens of its delta."""

    number: int
    entry: entries.AnyEntry
    token_P: Count | None


@dataclass(slots=True)
class Sums:
    """What entries add up to, on tokens; `generation` is the number of the lineage they are in."""

    generation: int
    nothing_P: Count
    wanted_P: NDArray[np.float64]  # by share: what the model must be
    folded_P: NDArray[np.float64]  # by share: what waits for the next version
    accepted: dict[str, Count] = field(default_factory=dict)
    dropped: dict[str, Count] = field(default_factory=dict)
    included: dict[int, dict[str, Count]] = field(default_factory=dict)  # by version: of each device, what it holds
    settled: dict[Identity, entries.Admitted | entries.Rejected] = field(default_factory=dict)

    @classmethod
    def none(cls, size: int) -> Sums:
        """Before the first entry of the first lineage."""
        return cls(0, np.zeros(size, np.int64), np.zeros(size), np.zeros(size))

    def copy(self) -> Sums:
        """The same sums, to go on from apart."""
        return Sums(
            self.generation, self.nothing_P, self.wanted_P, self.folded_P, dict(self.accepted), dict(self.dropped),
            dict(self.included), dict(self.settled),
        )  # fmt: skip

    def identity(self, entry: entries.Admitted | entries.Rejected) -> Identity:
        """Which delta an entry is about."""
        return entry.device, self.generation * EPOCHS + entry.epoch, entry.seq

    def about(self, entry: entries.AnyEntry) -> Identity | None:
        """Which delta an entry is about, if any."""
        return self.identity(entry) if isinstance(entry, entries.Admitted | entries.Rejected) else None

    def book(self, written: Written) -> None:
        """Add an entry; raise ViolationError when a token would count twice."""
        match written.entry:
            case entries.Admitted() as entry:
                self.settled[self.identity(entry)] = entry
                assert written.token_P is not None
                self.accepted[entry.device] = self.accepted.get(entry.device, self.nothing_P) + written.token_P
                self.folded_P = self.folded_P + entry.weight * written.token_P
                demand(not doubled(self.accepted[entry.device]), f"{entry.device}: a token was accepted twice")
            case entries.Rejected() as entry:
                self.settled[self.identity(entry)] = entry
                if not entry.refund and written.token_P is not None:
                    self.dropped[entry.device] = self.dropped.get(entry.device, self.nothing_P) + written.token_P
            case entries.Committed() as entry:
                self.included[entry.version] = dict(self.accepted)
                self.wanted_P, self.folded_P = self.wanted_P + self.folded_P, np.zeros(self.wanted_P.size)
            case _:
                pass

    def gone(self, device: str) -> Count:
        """Tokens of a device that are in the model, or dropped for good."""
        return self.accepted.get(device, self.nothing_P) + self.dropped.get(device, self.nothing_P)


@dataclass(slots=True)
class Book:
    """One lineage: what it began from, its entries, and what was told of them."""

    base: Sums
    sums: Sums
    journal: list[Written] = field(default_factory=list)
    digests: dict[int, bytes] = field(default_factory=dict)
    models: dict[int, bytes] = field(default_factory=dict)  # by version: a fingerprint of the weights
    told: Told = field(default_factory=Told)

    @classmethod
    def begin(cls, base: Sums, version: int = 0) -> Book:
        """A lineage that begins with these sums."""
        return cls(base, base.copy(), told=Told(version))

    def copy(self) -> Book:
        """The book as it is now; nothing that is written into this one later is in it."""
        return Book(
            self.base, self.sums.copy(), list(self.journal), dict(self.digests), dict(self.models), self.told.copy(),
        )  # fmt: skip

    def write(self, written: Written) -> None:
        """The next entry."""
        self.journal.append(written)
        self.sums.book(written)

    def undo(self, last: int) -> list[Written]:
        """What was written after this entry is not there; give it."""
        lost = [written for written in self.journal if written.number > last]
        if lost:
            self.journal = [written for written in self.journal if written.number <= last]
            self.sums = self._sums_of(self.journal)
        for number in [number for number in self.digests if number > last]:
            del self.digests[number]
        return lost

    def at(self, version: int) -> Sums:
        """The sums as of a version; what was accepted after it is not in them."""
        if not any(isinstance(w.entry, entries.Committed) and w.entry.version == version for w in self.journal):
            return self.base.copy()
        sums = self.base.copy()
        for written in self.journal:
            sums.book(written)
            if isinstance(written.entry, entries.Committed) and written.entry.version == version:
                break
        return sums

    def _sums_of(self, journal: list[Written]) -> Sums:
        sums = self.base.copy()
        for written in journal:
            sums.book(written)
        return sums
