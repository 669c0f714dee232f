"""What happens next: acts in order of (time, number), so that one seed gives one history."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Act = Callable[[], None]


class Agenda:
    """Virtual time; `now` is the time of the act that is carried out."""

    def __init__(self) -> None:
        self.now = 0.0
        self._acts: list[tuple[float, int, Act]] = []
        self._numbers = count()

    def at(self, time: float, act: Act) -> None:
        """Carry out `act` at that time, after all acts that were asked for earlier; never in the past."""
        heapq.heappush(self._acts, (max(time, self.now), next(self._numbers), act))

    def soon(self, act: Act) -> None:
        """Carry out `act` now, once what is being done is done."""
        self.at(self.now, act)

    @property
    def quiet(self) -> bool:
        """Whether nothing more happens now."""
        return not self._acts or self._acts[0][0] > self.now

    def step(self, until: float) -> bool:
        """Carry out the next act, unless it lies after `until`; whether there was one."""
        if not self._acts or self._acts[0][0] > until:
            return False
        self.now, _, act = heapq.heappop(self._acts)
        act()
        return True


class Alarm:
    """Rings when the time has come that `deadline` names, however often that changes; told of it by `set`."""

    def __init__(self, agenda: Agenda, deadline: Callable[[], float | None], ring: Act) -> None:
        self._agenda, self._deadline, self._ring = agenda, deadline, ring
        self._next: float | None = None

    def set(self) -> None:
        """Look at the deadline again."""
        at = self._deadline()
        if at is not None and (self._next is None or at < self._next):
            self._next = at
            self._agenda.at(at, lambda: self._fire(at))

    def _fire(self, at: float) -> None:
        if at != self._next:
            return  # an earlier one took its place
        self._next = None
        due = self._deadline()
        if due is not None and due <= self._agenda.now:
            self._ring()
        self.set()
