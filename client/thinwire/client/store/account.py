"""What the records say, taken one by one: the same when they are written as when they are read again."""

from __future__ import annotations

from dataclasses import dataclass, field

from thinwire.client.store.records import Any, Covered, Included, Joined, Led, Sealed, Settled, Summary

KEPT_GENERATIONS = 2
# When no new residual can be saved, at some time the old one is not worth the log that it needs.
MOST_CHANGES = 4096


@dataclass(slots=True)
class Seal:
    """One delta and what became of it; `number` is that of its record."""

    number: int
    record: Sealed
    settled: Settled | None = None
    included: bool = False

    @property
    def pending(self) -> bool:
        """Whether the device still carries it: it may yet change the model."""
        return not self.included and (self.settled is None or self.settled.accepted)


@dataclass(frozen=True, slots=True)
class Change:
    """What a record did to the residual: a seal took its coordinates out, a refund put the delta's mass back."""

    number: int  # of the record whose body says which coordinates, and how much
    seq: int
    buffer_bytes: int
    refund: int = 0  # its number; 0 for a seal

    def is_in(self, covered: Covered) -> bool:
        """Whether the residual in that file has had this change."""
        return self.refund <= covered.refunds if self.refund else self.seq <= covered.seals


@dataclass(slots=True)
class Account:
    """One device's standing in one lineage and epoch."""

    lineage: bytes = b""
    epoch: int = 0
    leader_epoch: int = 0
    version: int = 0
    sealed: int = 0
    settled: int = 0
    included: int = 0
    refunds: int = 0
    covered: tuple[Covered, ...] = ()  # oldest first
    seals: dict[int, Seal] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    generation: int = 0  # of the newest residual file that was ever adopted

    def take(self, number: int, record: Any) -> None:
        """Take the next record."""
        match record:
            case Joined():
                self._begin(record)
            case Led():
                self.leader_epoch = max(self.leader_epoch, record.leader_epoch)
            case Sealed():
                self._seal(number, record)
            case Settled():
                self._settle(record)
            case Included():
                self._include(record.through, record.version)
            case Covered():
                self._cover(record)
            case Summary():
                self._recall(record)

    def presume(self, record: Summary) -> None:
        """What was known when this was written, before the records that it was written after are taken again."""
        self.lineage, self.epoch = record.lineage, record.epoch
        self.leader_epoch = max(self.leader_epoch, record.leader_epoch)
        # The files first: each was adopted when fewer deltas were sealed than there were when this was written.
        for covered in record.covered:
            self._cover(covered)
        self.sealed, self.settled = max(self.sealed, record.sealed), max(self.settled, record.settled)
        self.refunds = max(self.refunds, record.refunds)

    def summary(self, floor: int) -> Summary:
        """What is to be known when only the records from `floor` on are left."""
        return Summary(
            floor=floor,
            lineage=self.lineage,
            epoch=self.epoch,
            leader_epoch=self.leader_epoch,
            version=self.version,
            sealed=self.sealed,
            settled=self.settled,
            included=self.included,
            refunds=self.refunds,
            covered=self.covered,
        )

    def floor(self, following: int) -> int:
        """The number of the oldest record that is still needed; `following` if none is."""
        pending = (seal.number for seal in self.seals.values() if seal.pending)
        return min([*pending, *(change.number for change in self.changes)], default=following)

    def changes_after(self, covered: Covered | None) -> list[Change]:
        """What has happened to the residual since that file, or since the oldest one that is kept, in order."""
        return [change for change in self.changes if covered is None or not change.is_in(covered)]

    def discard(self, covered: Covered) -> None:
        """This file turned out to be damaged or gone."""
        self.covered = tuple(found for found in self.covered if found.generation != covered.generation)

    def _begin(self, joined: Joined) -> None:
        generation = self.generation
        fresh = Account(joined.lineage, joined.epoch, joined.leader_epoch)
        for name in Account.__dataclass_fields__:
            setattr(self, name, getattr(fresh, name))
        # Files of an earlier lineage may still be there: no name is used twice.
        self.generation = generation

    def _seal(self, number: int, record: Sealed) -> None:
        self.seals[record.seq] = Seal(number, record, included=record.seq <= self.included)
        self.sealed, self.version = max(self.sealed, record.seq), max(self.version, record.version)
        self.changes.append(Change(number, record.seq, record.buffer_bytes))
        self._forget()

    def _settle(self, record: Settled) -> None:
        self.settled, self.refunds = max(self.settled, record.seq), max(self.refunds, record.refund)
        seal = self.seals.get(record.seq)
        if seal is None:
            return
        seal.settled = record
        if record.refund:
            self.changes.append(Change(seal.number, record.seq, seal.record.buffer_bytes, record.refund))
        self._forget()

    def _include(self, through: int, version: int) -> None:
        self.version = max(self.version, version)
        self.included = max(self.included, through)
        self.settled = max(self.settled, self.included)
        for seq, seal in self.seals.items():
            seal.included = seal.included or seq <= self.included
        self._forget()

    def _cover(self, record: Covered) -> None:
        if record.generation <= self.generation:
            return
        self.generation = record.generation
        if not self.covered and record.seals < self.sealed:
            return  # what was sealed since the first file was not noted, as there was none
        self.covered = (*self.covered, record)[-KEPT_GENERATIONS:]
        self._forget()

    def _recall(self, record: Summary) -> None:
        self.presume(record)
        self._include(record.included, record.version)

    def _forget(self) -> None:
        if len(self.changes) > MOST_CHANGES:
            self.covered = ()
        for seq in [seq for seq, seal in self.seals.items() if not seal.pending]:
            del self.seals[seq]
        if self.covered:
            self.changes = [change for change in self.changes if not change.is_in(self.covered[0])]
            return
        # Without a file the residual begins at nothing, and what only takes out of it changes nothing.
        while self.changes and not self.changes[0].refund:
            del self.changes[0]
