"""The simulator's engine alone: it is timed with a whole fleet's schedule, not with a part of it."""

from __future__ import annotations

from thinwire.bench import simulate
from thinwire.bench.schedule import Fleet
from thinwire.sim.settings import read_scenario

SCENARIO = simulate.SCENARIO.format(devices=6, size=10, density=0.1, buffer=2, commits=5)


def test_each_device_hears_each_commit() -> None:
    fleet = Fleet(read_scenario(SCENARIO), seed=1)
    counted = fleet.run()
    assert (counted.commits, counted.device_commits) == (5, 5 * 6)
    assert counted.deltas == fleet.outcomes == 5 * 2
    # A step of about a second for each delta, an outcome and a commit on a link of 200 ms: none came for nothing.
    assert counted.acts > counted.deltas + counted.device_commits
    assert fleet.agenda.now > 1.0
