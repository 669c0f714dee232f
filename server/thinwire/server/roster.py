"""Who takes part, and what each device weighs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


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

    def enrol(self, device: str, examples: int) -> None:
        """The device takes part, or has another number of examples than before."""
        self.members.setdefault(device, Member(examples)).examples = examples

    def join(self, device: str) -> None:
        """The device trains (again)."""
        self.members[device].live = True

    def leave(self, device: str) -> None:
        """The device's stream is gone; its share stays, for it will come back."""
        if device in self.members:
            self.members[device].live = False

    @property
    def live(self) -> int:
        """Devices with an open subscription."""
        return sum(member.live for member in self._all())

    def share(self, device: str, *, by_examples: bool) -> float:
        """p_i: what the device's deltas count for, of 1."""
        total = sum(_weigh(member, by_examples) for member in self._all())
        return _weigh(self.members[device], by_examples) / total

    def dump(self) -> list[tuple[str, int, int, int]]:
        """Every member: device, examples, accepted, rejected."""
        return [(device, m.examples, m.accepted, m.rejected) for device, m in self.members.items()]

    def load(self, rows: Iterable[tuple[str, int, int, int]]) -> None:
        """Go on from what another roster dumped; nobody is back yet."""
        for device, examples, accepted, rejected in rows:
            self.members[device] = Member(examples, accepted=accepted, rejected=rejected)

    def _all(self) -> list[Member]:
        # A copy, made in one step: status is read in other threads than the one in which devices join.
        return list(self.members.values())


def _weigh(member: Member, by_examples: bool) -> int:
    return max(1, member.examples) if by_examples else 1
