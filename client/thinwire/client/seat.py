"""The agent's view of its trainer: none, starting, ready (its task is built), based (it holds a model).

What a trainer is to do is in a Welcome. It outlives the stream that it came on and the trainer that was started by it:
the next trainer gets the same, with the plan as it is by then.
"""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec

from thinwire.client import telling
from thinwire.client.effects import Effect, Note, Quit, StartTrainer, Tell
from thinwire.common import frames
from thinwire.common.backoff import Backoff
from thinwire.common.exits import Exit
from thinwire.common.values import Plan, Welcome


class Seat:
    """Where one trainer after another sits, at one task; starts another when one is lost, ever more rarely."""

    def __init__(self, dice: random.Random) -> None:
        self.figures = frames.Figures(
            version=0, steps=0, cuts=0, compute_s=0, wait_s=0, residual_norm=0, delay_steps=0, waiting=True
        )
        self._earlier = self.figures  # of the trainers before this one
        self.restarts = 0
        self.ready: frames.Ready | None = None
        self.base: int | None = None
        self.restart_at: float | None = None
        self._welcome: Welcome | None = None
        self._dice, self._backoff = dice, Backoff(1.0, 60.0)

    @property
    def has_task(self) -> bool:
        """Whether there is anything to start a trainer for."""
        return self._welcome is not None

    @property
    def waits_for_outcomes(self) -> bool:
        """Whether the trainer trains no further before it knows what became of its delta."""
        return self._welcome is not None and self._welcome.plan.waits_for == "outcome"

    def start(self, welcome: Welcome, next_seq: int) -> list[Effect]:
        """Have a trainer started for this task."""
        self._welcome = welcome
        self.ready = self.base = self.restart_at = None
        self._earlier = self.figures
        return [StartTrainer(welcome, next_seq)]

    def tick(self, now: float, next_seq: int) -> list[Effect]:
        """Have another started, if it is time."""
        if self._welcome is None or self.restart_at is None or now < self.restart_at:
            return []
        return self.start(self._welcome, next_seq)

    def replan(self, plan: Plan) -> list[Effect]:
        """The plan may have changed, for this trainer and those after it."""
        if self._welcome is None or plan == self._welcome.plan:
            return []
        self._welcome = replace(self._welcome, plan=plan)
        return [Tell(frames.Replan(plan=telling.plan_fields(plan)))]

    def take(self, ready: frames.Ready) -> list[Effect]:
        """The trainer has built its task; without the coordinator's model the agent cannot go on."""
        assert self._welcome is not None
        if ready.layout_hash != self._welcome.layout_hash.hex():
            return [Quit(Exit.TRAINING, telling.other_model(self._welcome, ready))]
        self.ready = ready
        return []

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
