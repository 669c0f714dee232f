"""The agent's view of its trainer: none, starting, ready (its task is built), based (it holds a model)."""

from __future__ import annotations

import random

import msgspec

from thinwire.client import telling
from thinwire.client.effects import Effect, Note, StartTrainer
from thinwire.common import frames
from thinwire.common.backoff import Backoff
from thinwire.common.values import Welcome


class Seat:
    """Where one trainer after another sits; starts another when one is lost, ever more rarely."""

    def __init__(self, dice: random.Random) -> None:
        self.figures = frames.Figures(
            version=0, steps=0, cuts=0, compute_s=0, wait_s=0, residual_norm=0, delay_steps=0, waiting=True
        )
        self._earlier = self.figures  # of the trainers before this one
        self.restarts = 0
        self.ready: frames.Ready | None = None
        self.base: int | None = None
        self.restart_at: float | None = None
        self._dice, self._backoff = dice, Backoff(1.0, 60.0)

    def start(self, welcome: Welcome, next_seq: int) -> list[Effect]:
        """Have a trainer started."""
        self.ready = self.base = self.restart_at = None
        self._earlier = self.figures
        return [StartTrainer(welcome, next_seq)]

    def lose(self, reason: str, now: float) -> list[Effect]:
        """It has ended."""
        self.restarts += 1
        self.ready = self.base = None
        self.figures = msgspec.structs.replace(self.figures, waiting=True)
        wait_s = self._backoff.next(self._dice)
        self.restart_at = now + wait_s
        return [Note("warning", f"trainer ended ({reason}); starting another in {wait_s:.1f} s")]

    def works(self) -> None:
        """It did something of use."""
        self._backoff.reset()

    def count(self, figures: frames.Figures) -> None:
        """It says how it goes."""
        self.figures = telling.added(figures, self._earlier)
