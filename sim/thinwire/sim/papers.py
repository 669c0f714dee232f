"""What is known of a simulated device's disk, from the records that its agent made: what it must give back."""

from __future__ import annotations

from dataclasses import dataclass, field

from thinwire.client.store import records
from thinwire.sim.deltas import Deltas
from thinwire.sim.tokens import Count


@dataclass(slots=True)
class Papers:
    """One life of a device: its seals and refunds in order, and its saved residuals."""

    changes: list[records.Sealed | records.Settled] = field(default_factory=list)
    seals: dict[int, bytes] = field(default_factory=dict)  # SHA-256 by number
    files: dict[int, tuple[Count, int, int]] = field(default_factory=dict)  # by generation: tokens, seals, refunds
    adopted: int = 0  # the newest generation that the log names
    safe: int = 0  # and that it names for sure
    unreadable: set[int] = field(default_factory=set)  # generations that a fault took

    def copy(self) -> Papers:
        """What is known now."""
        return Papers(
            list(self.changes), dict(self.seals), dict(self.files), self.adopted, self.safe, set(self.unreadable)
        )

    def cut_off(self, next_seq: int, refunds: int) -> None:
        """The disk came back with seals below `next_seq` and so many refunds."""
        self.changes = [
            change for change in self.changes
            if (change.seq < next_seq if isinstance(change, records.Sealed) else change.refund <= refunds)
        ]  # fmt: skip

    def due(self, generation: int, deltas: Deltas) -> Count:
        """What a trainer must get back of the residual when this file is read, 0 for none (P,)."""
        # A file that cannot be read, with none before it, takes along what it had been given back.
        lost = max((self.files[file][2] for file in self.unreadable & self.files.keys()), default=0)
        saved_P, seals, refunds = self.files.get(generation, (deltas.nothing(), 0, lost))
        due_P = saved_P.copy()
        for change in self.changes:
            sha256 = self.seals[change.seq]
            if isinstance(change, records.Sealed):
                if change.seq > seals:
                    due_P[deltas.chosen[sha256]] = 0
            elif change.refund > refunds:
                due_P += deltas.sealed[sha256]
        return due_P


@dataclass(slots=True)
class Drawer:
    """The papers of all lives of a device, and in which of them its disk is: for sure, and perhaps."""

    papers: dict[int, Papers] = field(default_factory=lambda: {0: Papers()})  # by life
    safe_life: int = 0
    life: int = 0

    @property
    def lives(self) -> set[int]:
        """Those that the disk may be in."""
        return {self.safe_life, self.life}

    def copy(self, life: int) -> Drawer:
        """What is known now, of a device that is in this life."""
        return Drawer({of: papers.copy() for of, papers in self.papers.items()}, self.safe_life, life)

    def go_down(self, life: int) -> None:
        """The device dies in this life: of what the log names, only what is safe is there for sure."""
        for papers in self.papers.values():
            papers.adopted = papers.safe
        self.life = life

    def come_back(self, life: int) -> None:
        """The disk is in this life, as is known now."""
        self.safe_life = self.life = life

    def keep(self, life: int) -> None:
        """All that was written down until now, in this life, is safe."""
        self.papers[life].safe, self.safe_life = self.papers[life].adopted, self.life

    def empty(self) -> None:
        """The disk is as that of a device which has never been anywhere."""
        self.come_back(0)
        self.papers[0] = Papers()


@dataclass(frozen=True, slots=True)
class Copy:
    """A device's disk as it was, what is known of it, and the newest seal that was safe."""

    files: dict[str, bytes]
    drawer: Drawer
    kept: int
