"""Who takes part, and what each device weighs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Member:
    """One device of the fleet."""

    examples: int
    live: bool = True
    accepted: int = 0
    rejected: int = 0


class Roster:
    """The devices that ever subscribed; the shares of all of them sum to 1."""

    def __init__(self, weights: str) -> None:
        self._by_examples = weights == "examples"
        self.members: dict[str, Member] = {}

    def join(self, device: str, examples: int) -> None:
        """The device trains (again)."""
        member = self.members.setdefault(device, Member(examples))
        member.examples, member.live = examples, True

    def leave(self, device: str) -> None:
        """The device's stream is gone; its share stays, for it will come back."""
        if device in self.members:
            self.members[device].live = False

    @property
    def live(self) -> int:
        """Devices with an open subscription."""
        return sum(member.live for member in self._all())

    def share(self, device: str) -> float:
        """p_i: what the device's deltas count for, of 1."""
        total = sum(self._weigh(member) for member in self._all())
        return self._weigh(self.members[device]) / total

    def _all(self) -> list[Member]:
        # A copy, made in one step: status is read in other threads than the one in which devices join.
        return list(self.members.values())

    def _weigh(self, member: Member) -> int:
        return max(1, member.examples) if self._by_examples else 1
