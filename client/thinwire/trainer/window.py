"""Which own deltas are under way: whether one more may be cut, and whether a plan without overlap waits.

    waits_for "commit"    a delta is under way until the base holds it
    waits_for "outcome"   until the coordinator has judged it; training then goes on from the version that came of it

Numbers only; the deltas themselves are the replica's.
"""

from __future__ import annotations

from thinwire.common.values import Plan


class Window:
    """Own deltas without an outcome, and the version to have once they have one."""

    def __init__(self) -> None:
        self._unanswered: set[int] = set()
        self._awaited = 0

    def seal(self, seq: int) -> None:
        """A delta was cut, by this trainer or by one before it; it has no outcome yet."""
        self._unanswered.add(seq)

    def accept(self, seq: int, version: int) -> None:
        """It was taken; training goes on from `version`, 0 for whichever there is."""
        self._unanswered.discard(seq)
        self._awaited = max(self._awaited, version)

    def reject(self, seq: int) -> None:
        """It was not."""
        self._unanswered.discard(seq)

    def include(self, through: int) -> None:
        """The base settles all deltas up to this number."""
        self._unanswered = {seq for seq in self._unanswered if seq > through}

    def has_room(self, plan: Plan, pending: int) -> bool:
        """Whether one more delta may be under way, beside so many that are not in the base yet."""
        # Who waits for outcomes is sent commits after its next delta, so to wait for them with it would be for ever.
        under_way = len(self._unanswered) if plan.waits_for == "outcome" else pending
        return under_way < plan.window

    def holds(self, plan: Plan, pending: int, version: int) -> bool:
        """Whether a trainer with a base of `version`, which may not overlap, waits for a delta that is under way."""
        if plan.waits_for == "outcome":
            return bool(self._unanswered) or version < self._awaited
        return pending > 0
