"""Who takes part, and what each device weighs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Device, examples, accepted, rejected.
MemberRow = tuple[str, int, int, int]


@dataclass(slots=True)
class Member:
    """One device of the fleet."""

    examples: int
    live: bool = False
    accepted: int = 0
    rejected: int = 0


class Roster:
    """The devices that ever subscribed; the shares of all of them sum to 1."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        # Kept as they change: counting a thousand devices for every delta of each would take longer than folding it.
        self._live = self._weight = 0

    def enrol(self, device: str, examples: int) -> None:
        """The device takes part, or has another number of examples than before."""
        member = self.members.get(device)
        # Shares are told in other threads while devices join: one change, never a sum that lacks somebody.
        self._weight += max(1, examples) - (max(1, member.examples) if member else 0)
        self.members.setdefault(device, Member(examples)).examples = examples

    def join(self, device: str) -> None:
        """The device trains (again)."""
        self._live += not self.members[device].live
        self.members[device].live = True

    def leave(self, device: str) -> None:
        """The device's stream is gone; its share stays, for it will come back."""
        if device in self.members:
            self._live -= self.members[device].live
            self.members[device].live = False

    @property
    def live(self) -> int:
        """Devices with an open subscription."""
        return self._live

    def share(self, device: str, *, by_examples: bool) -> float:
        """p_i: what the device's deltas count for, of 1."""
        if not by_examples:
            return 1 / len(self.members)
        return max(1, self.members[device].examples) / self._weight

    def dump(self) -> list[MemberRow]:
        """Every member."""
        return [(device, m.examples, m.accepted, m.rejected) for device, m in self.members.items()]

    def load(self, rows: Iterable[MemberRow]) -> None:
        """Go on from what another roster dumped; nobody is back yet."""
        for device, examples, accepted, rejected in rows:
            self.enrol(device, examples)
            member = self.members[device]
            member.accepted, member.rejected = accepted, rejected
