"""When a buffer of deltas becomes a commit. Each policy says why it waits, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class BufferView:
    """What a policy may look at."""

    count: int  # deltas in the buffer
    contributors: int  # different devices among them
    live: int  # devices that are subscribed now
    opened_at: float  # when the last version was published, loop seconds
    awaited: int = 0  # devices that are not here yet, after a start of the coordinator, but took part before
    absent: int = 0  # contributors that are neither here nor awaited


class CommitPolicy(Protocol):
    """Decides when the buffer is folded into a version."""

    def ready(self, view: BufferView, now: float) -> bool:
        """Whether to commit now."""

    def deadline(self, view: BufferView) -> float | None:
        """When to ask again even if nothing happens; None for never."""

    def waits_for(self, view: BufferView) -> str:
        """What is missing, in words."""


@dataclass(frozen=True, slots=True)
class Buffered:
    """A commit for every `size` admitted deltas; FedBuff's rule, with 1 it is asynchronous.

    A device has at most `window` deltas on their way (0 for any number), and waits for a commit to cut the next; so the
    buffer is full, too, when all who are left could not put more into it.
    """

    size: int
    window: int = 0

    def ready(self, view: BufferView, now: float) -> bool:
        """Whether the buffer is full."""
        return view.count >= self._needed(view)

    def deadline(self, view: BufferView) -> float | None:
        """Never: only deltas fill a buffer."""
        return None

    def waits_for(self, view: BufferView) -> str:
        """How many deltas are missing."""
        return f"{view.count} of {self._needed(view)} deltas are in the buffer"

    def _needed(self, view: BufferView) -> int:
        return min(self.size, view.live * self.window or self.size)


@dataclass(frozen=True, slots=True)
class Sync:
    """A round: everyone who is here or awaited, or after the deadline a quorum of those who are here."""

    quorum: float
    deadline_s: float

    def ready(self, view: BufferView, now: float) -> bool:
        """Whether all have answered, or the deadline passed with a quorum, or nobody is left to wait for."""
        if view.count == 0:
            return False
        everyone, late = view.live + view.awaited, now >= view.opened_at + self.deadline_s
        answered = view.contributors - view.absent if everyone else view.contributors
        return answered >= (self._needed(view) if late else max(1, everyone))

    def deadline(self, view: BufferView) -> float | None:
        """When the round stops waiting for the slowest."""
        return view.opened_at + self.deadline_s if view.count else None

    def waits_for(self, view: BufferView) -> str:
        """Who is missing."""
        answered, everyone = view.contributors - view.absent, view.live + view.awaited
        return f"{answered} of {everyone} devices have answered; {self._needed(view)} at the deadline will do"

    def _needed(self, view: BufferView) -> int:
        return max(1, math.ceil(self.quorum * view.live))


def commit_policy(
    mode: str, *, buffer: int, quorum: float, deadline_s: float, window: int = 0
) -> CommitPolicy:
    """The policy of that name: `sync`, `buffered` or `async`."""
    if mode == "sync":
        return Sync(quorum, deadline_s)
    return Buffered(buffer, window) if mode == "buffered" else Buffered(1)
