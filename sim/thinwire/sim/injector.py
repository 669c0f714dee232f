"""When simulated processes die: at named points, drawn from a seed, and rare points as often as busy ones."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from thinwire.sim.disk import Crash


class Injector:
    """Decides at each named point whether the process that reaches it dies there; counts both."""

    def __init__(self, dice: random.Random, rate: float) -> None:
        self._dice, self._rate = dice, rate
        self.reached: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.armed = True

    def reach(self, point: str) -> None:
        """Raise Crash, or go on. The n-th time at a point is an n-th as likely to be the last."""
        self.reached[point] += 1
        if self.armed and self._dice.random() * self.reached[point] < self._rate:
            self.kills[point] += 1
            raise Crash(point)

    def of(self, victim: object, strike: Callable[[object], None]) -> Callable[[str], None]:
        """`reach` for one process; `strike` hears whose Crash it is that comes now."""

        def reach(point: str) -> None:
            try:
                self.reach(point)
            except Crash:
                strike(victim)
                raise

        return reach
