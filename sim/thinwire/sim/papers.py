"""What is known of a simulated device's disk, from the records that its agent made: what it must give back."""

from __future__ import annotations

from dataclasses import dataclass, field

from thinwire.client.store import records
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


@dataclass(frozen=True, slots=True)
class Copy:
    """A device's disk as it was, and what is known of it."""

    files: dict[str, bytes]
    papers: dict[int, Papers]
    safe_life: int
    life: int
    kept: int
