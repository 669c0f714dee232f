"""The simulator's event engine by itself: the agenda, the links and the steps of a fleet, and nothing that decides.

Devices step on their bowls and say a delta after each step; every third of the fleet makes a commit, which each device
hears on its own link. A delta and a commit are numbers of bytes here: nobody selects, packs, admits, stores or applies.
So this is what the engine costs, and the distance to the same fleet with the product's own classes is theirs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from thinwire.common.link import Lane
from thinwire.sim.agenda import Agenda
from thinwire.sim.fleet import fleet_of
from thinwire.sim.lessons import lesson_of
from thinwire.sim.scenario import Device as Description
from thinwire.sim.settings import Scenario
from thinwire.trainer.course import Learner

# About what such words take in the runs of whole fleets.
DELTA_BYTES, OUTCOME_BYTES, COMMIT_BYTES = 160, 40, 240


@dataclass(frozen=True, slots=True)
class Counted:
    """What happened; `device_commits` are those that were heard."""

    commits: int
    deltas: int
    device_commits: int
    acts: int
    cpu_s: float


class Fleet:
    """Devices and a coordinator that only count."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        (settings,) = scenario.methods.values()
        self.agenda, self._dice = Agenda(), random.Random(seed)
        self._buffer, self._most = settings.aggregation.buffer, settings.stop.max_commits
        lesson = lesson_of(settings, scenario.devices, seed)
        described = fleet_of(scenario.fleet, seed, scenario.simulation.until).devices
        self.devices = [Device(self, one, lesson.learner(number)) for number, one in enumerate(described)]
        self.commits = self.deltas = self.outcomes = self.device_commits = 0

    def run(self) -> Counted:
        """Until the scenario's last commit was heard by all."""
        began, acts = time.process_time(), 0
        while self.agenda.step(until=1e9):
            acts += 1
        return Counted(self.commits, self.deltas, self.device_commits, acts, time.process_time() - began)

    @property
    def over(self) -> bool:
        """Whether there are no more commits to come."""
        return self.commits == self._most

    def take(self, device: Device) -> None:
        """A delta has arrived."""
        if self.over:
            return
        self.deltas += 1
        self.carry(device.down, OUTCOME_BYTES, self.settled)
        if self.deltas % self._buffer == 0:
            self.commits += 1
            for each in self.devices:
                self.carry(each.down, COMMIT_BYTES, self.heard)

    def settled(self) -> None:
        """A device has heard what became of a delta."""
        self.outcomes += 1

    def heard(self) -> None:
        """A device has heard a commit."""
        self.device_commits += 1

    def carry(self, lane: Lane, size_bytes: int, arrive: Callable[[], None]) -> None:
        """Have a word arrive when the lane says."""
        self.agenda.at(lane.send(size_bytes, self.agenda.now, self._dice), arrive)


class Device:
    """Steps, and says so."""

    def __init__(self, fleet: Fleet, description: Description, learner: Learner) -> None:
        assert description.link is not None
        self._fleet, self._step_s, self._learner = fleet, description.step_s, learner
        self._up, self.down = Lane(description.link), Lane(description.link)
        fleet.agenda.at(self._step_s, self.step)

    def step(self) -> None:
        """One step on the bowl, and a delta of it."""
        if self._fleet.over:
            return
        self._learner.step()
        self._fleet.carry(self._up, DELTA_BYTES, self._arrive)
        self._fleet.agenda.at(self._fleet.agenda.now + self._step_s, self.step)

    def _arrive(self) -> None:
        self._fleet.take(self)
