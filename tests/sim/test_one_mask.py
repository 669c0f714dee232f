"""Devices that draw their coordinates from one seed agree on them again after whatever came between."""

import numpy as np
import pytest

from thinwire.common.codec import Limits, unpack
from thinwire.common.link import LinkProfile
from thinwire.common.values import Plan
from thinwire.server import effects
from thinwire.server.policy import Sync
from thinwire.server.rules import Rules
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Break, Device, Nap, Scenario, TrainerLoss
from thinwire.sim.world import Watch, World

SIZE, DEVICES = 60, 4


class Masks(Watch):
    """Whether each commit lies on one mask."""

    def __init__(self) -> None:
        self.one: list[bool] = []

    def decided(self, world: World, event: object, decided: list[effects.Effect]) -> None:
        for effect in decided:
            if isinstance(effect, effects.Published):
                limits = Limits(world.coordinator.core.model.layout.hash, SIZE, SIZE)
                self.one.append(unpack(effect.commit.payload, limits).seed is not None)


@pytest.mark.parametrize(
    ("misfortune", "joins_at", "pace_s"),
    [
        (None, 0.0, 1.0),
        (Break(0, 100.0, 40.0, 1.0), 0.0, 1.0),
        (Nap(0, 100.0, 20.0, 1.0), 0.0, 1.0),
        (TrainerLoss(0, 100.0), 0.0, 1.0),
        (None, 100.0, 1.0),
        (None, 0.0, 1.1),
    ],
    ids=["smooth", "a break", "a nap", "a trainer that dies", "a late start", "a slower one"],
)
def test_devices_are_on_one_mask_again(
    misfortune: Break | TrainerLoss | None, joins_at: float, pace_s: float
) -> None:
    link, goal_P = LinkProfile(1.5, 1e9), np.ones(SIZE)
    others = (DEVICES - 1) * (Device(link=link),)
    scenario = Scenario(
        learner=lambda number: Quadratic(goal_P, goal_P),
        rules=Rules(policy=Sync(1.0, 1e6), min_devices=DEVICES - 1, max_commits=150, evaluate=False),
        plan=Plan(
            local_steps=3, density=0.1, omega=1.0, residual="keep", selection="mask", mask_seed=5, values="fp16"
        ),
        devices=(*others, Device(link=link, step_s=pace_s, joins_at=joins_at)),
        breaks=(misfortune,) if isinstance(misfortune, Break) and not isinstance(misfortune, Nap) else (),
        naps=(misfortune,) if isinstance(misfortune, Nap) else (),
        trainer_losses=(misfortune,) if isinstance(misfortune, TrainerLoss) else (),
        trainer_start_s=2.5,
    )
    masks = Masks()
    assert World(scenario, masks).run(until=2000.0).version == 150
    assert sum(masks.one[-50:]) >= 45, "but for those of a device that is just being lapped"
