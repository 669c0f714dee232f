"""What time it is on a simulated machine: its clock may jump, and then nothing but waiting may change.

Each machine has a monotonic clock, which begins somewhere else after each start and leaps when the machine was asleep;
and there is the time of day, which nothing here may ask for. Who asks by `time.time()` gets one that jumps as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from thinwire.sim.agenda import Agenda

# Sums of large and small times are rounded: a deadline that is so near has come.
SOON_S = 1e-6


class Clock:
    """The monotonic clock of one machine: the agenda's time, and more."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda, self.ahead_s, self._began = agenda, 0.0, agenda.now

    def now(self, deadline: float | None) -> float:
        """The time; that of the deadline when it has come."""
        if not self.ahead_s:
            return self._agenda.now
        now = self._agenda.now + self.ahead_s
        return deadline if deadline is not None and now < deadline <= now + SOON_S else now

    def on_agenda(self, deadline: float | None) -> float | None:
        """When a deadline of this clock comes, as things are now."""
        return None if deadline is None else deadline - self.ahead_s

    def start(self, seconds: float = 0.0) -> None:
        """The machine is started, and its clock says something else by so much; never less than 0."""
        self._began = max(0.0, self._agenda.now + self.ahead_s + seconds)
        self.ahead_s = self._began - self._agenda.now

    def leap(self, seconds: float) -> None:
        """Jump; below 0 for backward, but never before what it said when the machine was started."""
        self.ahead_s = max(self._began, self._agenda.now + self.ahead_s + seconds) - self._agenda.now


@contextmanager
def time_of_day(told: Callable[[], float]) -> Iterator[None]:
    """Whoever asks `time.time()` or `time.monotonic()` hears what `told` says.

    Not who took one of the two by name when a module was read, as a default factory does, and not who asks
    `time.perf_counter()` or `datetime`: in what is simulated those measure and name, and decide nothing.
    """
    real = time.time, time.monotonic
    time.time = time.monotonic = told
    try:
        yield
    finally:
        time.time, time.monotonic = real
