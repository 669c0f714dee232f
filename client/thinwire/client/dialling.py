"""The agent's view of its stream: offline, dialling, greeting, live; and when it dials again."""

from __future__ import annotations

import random

from thinwire.client.effects import Dial, Effect, Note
from thinwire.common.backoff import Backoff


class Dialling:
    """One stream at a time, with ever longer waits between those that were of no use."""

    def __init__(self, dice: random.Random, backoff: Backoff) -> None:
        self.state = "offline"
        self.at: float | None = 0.0
        self._dice, self._backoff = dice, backoff
        self._offline_for = ""

    def tick(self, now: float) -> list[Effect]:
        """Dial, if it is time."""
        if self.at is None or now < self.at:
            return []
        self.at, self.state = None, "dialling"
        return [Dial()]

    def welcomed(self) -> None:
        """The coordinator has welcomed this stream."""
        self.state, self._offline_for = "live", ""

    def of_use(self) -> None:
        """The stream did what it is for; a Welcome alone may be followed by the same end each time."""
        self._backoff.reset()

    def lose(self, reason: str, now: float, at_least_s: float) -> list[Effect]:
        """The stream is gone: dial again after a while."""
        self.state = "offline"
        wait_s = max(self._backoff.next(self._dice), at_least_s)
        self.at = now + wait_s
        # A week offline is one line of the log; what an operator needs is the change.
        level = "debug" if reason == self._offline_for else "warning"
        self._offline_for = reason
        return [Note(level, f"offline, next attempt in {wait_s:.1f} s: {reason}")]
