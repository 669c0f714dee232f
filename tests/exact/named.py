"""Fleets that are set up by a method's name alone, as a user would; and what their tests share.

Shapes: N devices, P parameters.
"""

import heapq
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from thinwire.common.link import LinkProfile
from thinwire.common.settings import CoordinatorSettings, loads
from thinwire.server.training import plan_of, rules_of
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Device, Scenario
from thinwire.sim.world import World

DEVICES, SIZE, STEPS, RATE = 4, 60, 3, 0.1
EXAMPLES_N = np.array([3, 1, 4, 2])
_DRAW = np.random.default_rng(17)
GOAL_NP = _DRAW.normal(size=(DEVICES, SIZE))
CURVATURE_NP = _DRAW.uniform(0.2, 2.0, size=(DEVICES, SIZE))
PACES = (1.0, 1.13, 1.37, 1.71)  # seconds a step; no two devices are ever done at once

Rows = NDArray[np.float64]
Correct = Callable[[int, Rows], Rows]


def settings_of(name: str, commits: int, *sets: str) -> CoordinatorSettings:
    """A method's settings, and what every test needs beside them."""
    shared = (
        f"training.algorithm={name}", f"training.local_steps={STEPS}", f"training.learning_rate={RATE}",
        f"aggregation.min_devices={DEVICES}", f"stop.max_commits={commits}",
    )  # fmt: skip
    return loads("", CoordinatorSettings, shared + sets)


def played(
    name: str,
    commits: int,
    *sets: str,
    delay: int = 0,
    paces: tuple[float, ...] = (1.0,) * DEVICES,
) -> World:
    """The world of a method after so many commits; each comes `delay` steps after the cut, or at once."""
    settings = settings_of(name, commits, *sets)
    link = LinkProfile(delay - 0.5, 1e9) if delay else None
    scenario = Scenario(
        learner=lambda number: Quadratic(GOAL_NP[number], CURVATURE_NP[number], examples=int(EXAMPLES_N[number])),
        rules=rules_of(settings, evaluate=False),
        plan=plan_of(settings),
        devices=tuple(Device(link=link, step_s=pace) for pace in paces),
        max_staleness=settings.aggregation.max_staleness,
    )
    world = World(scenario)
    assert world.run(until=1e4).version == commits
    return world


def model(world: World) -> NDArray[np.float32]:
    """The coordinator's published weights (P,)."""
    return world.coordinator.core.model.weights_P


def working(world: World) -> NDArray[np.float32]:
    """The devices' working models (N, P)."""
    return np.stack([device.trainer.course.replica.origin_P for device in world.devices if device.trainer])


def gradient(local_NP: Rows) -> Rows:
    """Of each device's loss at its own model."""
    return CURVATURE_NP * (local_NP - GOAL_NP)


def rounded(start_P: Rows, turn: Correct | None = None) -> Rows:
    """STEPS steps of all devices from one model; `turn` may change each gradient."""
    local_NP = np.tile(start_P, (DEVICES, 1))
    for _ in range(STEPS):
        slope_NP = gradient(local_NP)
        local_NP = local_NP - RATE * (slope_NP if turn is None else turn(0, local_NP) + slope_NP)
    return local_NP


def finished(until: int) -> Iterator[int]:
    """Who is done with a round, one after another, when all go on at once at their own pace."""
    due = [(STEPS * pace, number) for number, pace in enumerate(PACES)]
    heapq.heapify(due)
    for _ in range(until):
        at, number = heapq.heappop(due)
        yield number
        heapq.heappush(due, (at + STEPS * PACES[number], number))


def alone(number: int, start_P: Rows) -> Rows:
    """STEPS steps of one device."""
    return rounded(start_P)[number]


def top(row_P: Rows, kept: int) -> Rows:
    """The largest of a row, the rest 0."""
    chosen = np.argsort(-np.abs(row_P), kind="stable")[:kept]
    return np.where(np.isin(np.arange(row_P.size), chosen), row_P, 0.0)
