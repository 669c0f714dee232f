"""When simulated processes die: at named points, drawn from a seed, soon after the start as well as in mid-training."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from thinwire.sim.disk import Crash

OFTEN = 30


class Injector:
    """Decides at each named point whether the process that reaches it dies there; counts both.

    A trial may have one point, its `aim`, at which somebody dies if it is reached at all: chance alone never comes to
    some.
    """

    def __init__(self, dice: random.Random, rate: float, aim: str = "", *, rare: bool = False) -> None:
        self._dice, self._rate, self.aim = dice, rate, aim
        self._aim_at = 1 if rare or dice.random() < 0.5 else dice.randrange(1, 8)
        self._deadly: dict[str, int] = {}
        self.reached: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.armed = True

    def also_at(self, point: str, visit: int) -> None:
        """Somebody dies at this visit of this point, whatever chance says."""
        self._deadly[point] = visit

    def reach(self, point: str) -> None:
        """Raise Crash, or go on."""
        self.reached[point] += 1
        if self._hits(point) or (self.armed and self.reached[point] == self._deadly_visit(point)):
            self.kills[point] += 1
            self._deadly[point] = self.reached[point] + self._next()
            raise Crash(point)

    def _hits(self, point: str) -> bool:
        # Also when all else is calm: some are reached no sooner.
        if point != self.aim or (self.armed and self.reached[point] < self._aim_at):
            return False
        self.aim = ""
        return True

    def of(self, victim: object, strike: Callable[[object], None]) -> Callable[[str], None]:
        """`reach` for one process; `strike` hears whose Crash it is that comes now."""

        def reach(point: str) -> None:
            try:
                self.reach(point)
            except Crash:
                strike(victim)
                raise

        return reach

    def _deadly_visit(self, point: str) -> int:
        if point not in self._deadly:
            self._deadly[point] = self._next()
        return self._deadly[point]

    def _next(self) -> int:
        """How many visits from now a process dies at a point; below 0 for never."""
        if self._dice.random() >= self._rate:
            return -OFTEN * OFTEN
        # A point that is passed once at each start must be met as well as one that is passed at each delta.
        return self._dice.randrange(1, 3) if self._dice.random() < 0.4 else self._dice.randrange(1, OFTEN)
