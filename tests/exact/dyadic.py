"""Fleets whose every number is a small multiple of a power of two, so that float32 rounds nothing.

Equality is then bit for bit, which is stricter than any tolerance: goals are small whole numbers, the learning rate is
one half, curvatures are 0 to 3 (each step costs one bit), and there are four devices (each mean costs two).
Shapes: N devices, P parameters.
"""

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import ValueCode
from thinwire.common.link import LinkProfile
from thinwire.common.values import Plan
from thinwire.server.policy import CommitPolicy, Sync
from thinwire.server.rules import Rules
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Device, Scenario
from thinwire.sim.world import Watch, World

DEVICES, SIZE, RATE = 4, 40, 0.5
ROUND = Sync(1.0, 1e6)
_DRAW = np.random.default_rng(31)
GOAL_NP = _DRAW.integers(-4, 5, size=(DEVICES, SIZE)).astype(np.float32)
CURVATURE_NP = _DRAW.integers(0, 4, size=(DEVICES, SIZE)).astype(np.float32)


def plan(**changes: object) -> Plan:
    """Everything is sent as it is, every two steps."""
    usual = {"local_steps": 2, "density": 1.0, "values": "fp32", "omega": 1.0, "learning_rate": RATE}
    return Plan(**{**usual, **changes})  # type: ignore[arg-type]


def rules(commits: int, policy: CommitPolicy = ROUND, **changes: object) -> Rules:
    """Rounds of all, published as they are."""
    usual = {
        "policy": policy, "density_down": 1.0, "values_down": ValueCode.FP32, "min_devices": DEVICES,
        "max_commits": commits, "evaluate": False,
    }  # fmt: skip
    return Rules(**{**usual, **changes})  # type: ignore[arg-type]


def late(steps: int) -> tuple[Device, ...]:
    """Devices for which a commit comes exactly so many steps after the cut: in mid-step, and taken after it."""
    link = LinkProfile(steps - 0.5, 1e9) if steps else None
    return DEVICES * (Device(link=link),)


def played(
    plan: Plan, rules: Rules, devices: tuple[Device, ...] | None = None, watch: Watch | None = None
) -> World:
    """A world of these that has come to its end."""
    scenario = Scenario(
        learner=lambda number: Quadratic(GOAL_NP[number], CURVATURE_NP[number]),
        rules=rules,
        plan=plan,
        devices=devices or DEVICES * (Device(),),
    )
    world = World(scenario, watch)
    assert world.run(until=1e4).version == rules.max_commits
    return world


def model(world: World) -> NDArray[np.float32]:
    """The coordinator's published weights (P,)."""
    return world.coordinator.core.model.weights_P


def working(world: World) -> NDArray[np.float32]:
    """The devices' working models (N, P)."""
    return np.stack([device.trainer.course.replica.origin_P for device in world.devices if device.trainer])


def stepped(local_NP: NDArray[np.float64]) -> NDArray[np.float64]:
    """One local step of all devices, as everyone writes it."""
    return local_NP - RATE * CURVATURE_NP * (local_NP - GOAL_NP)


def same(found: NDArray[np.float32], wanted: NDArray[np.float64]) -> bool:
    """Whether they are equal bit for bit; the test is no test where float32 could not hold the wanted numbers."""
    assert np.array_equal(wanted.astype(np.float32).astype(np.float64), wanted), "more bits than float32 has"
    assert np.abs(wanted).max() > 0
    return np.array_equal(found.astype(np.float64), wanted)
