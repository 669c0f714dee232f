"""Fleets drawn at random, with everything going wrong at once: mass is conserved at every moment, and all end alike.

To look further than here, give SEEDS a longer range.
"""

import random

import pytest

from thinwire.client import outbox
from thinwire.common.codec import ValueCode
from thinwire.common.link import LinkProfile
from thinwire.common.values import Plan
from thinwire.server import feed
from thinwire.server.policy import Buffered, Sync
from thinwire.server.rules import Rules
from thinwire.sim.audit import MassAudit
from thinwire.sim.learners import WholeSteps
from thinwire.sim.scenario import Break, Device, Scenario, TrainerLoss
from thinwire.sim.world import World

SEEDS = range(8)
SIZE, DEVICES, TROUBLED_S = 48, 4, 150.0


def drawn(dice: random.Random) -> Scenario:
    """A fleet; four devices and whole numbers, so that the audit is exact."""
    rules = Rules(
        policy=dice.choice((Buffered(1), Buffered(3), Sync(0.5, 6.0), Sync(1.0, 20.0))), values_down=ValueCode.FP32,
        density_down=dice.choice((1.0, 0.3, 0.1)), denominator="all", min_devices=DEVICES, evaluate=False,
        max_commits=60,
    )  # fmt: skip
    plan = Plan(
        local_steps=dice.choice((1, 3, 7)), density=dice.choice((0.05, 0.3, 1.0)), values="fp32",
        window=dice.choice((1, 2, 6)), overlap=dice.random() < 0.8, omega=dice.choice((0.0, 0.5, 1.0)),
    )  # fmt: skip
    return Scenario(
        learner=lambda number: WholeSteps(SIZE, seed=number),
        rules=rules,
        plan=plan,
        devices=tuple(device(dice) for _ in range(DEVICES)),
        breaks=tuple(broken(dice) for _ in range(dice.choice((0, 10, 30)))),
        trainer_losses=tuple(lost(dice) for _ in range(dice.choice((0, 8, 20)))),
        trainer_start_s=dice.choice((0.0, 2.0, 10.0)),
        max_staleness=dice.choice((0, 2, 64)),
        seed=dice.randrange(1 << 30),
    )


def device(dice: random.Random) -> Device:
    link = LinkProfile(dice.uniform(0, 9), dice.choice((800.0, 3e3, 1e5)), dice.choice((0.0, 1.0)))
    return Device(
        link=link if dice.random() < 0.9 else None, step_s=dice.choice((0.1, 0.5, 1.0)), stammer=dice.choice((0.0, 0.3))
    )


def broken(dice: random.Random) -> Break:
    for_s, notice_s = dice.choice((0.0, 1.0, 5.0, 20.0, 80.0)), dice.choice((0.0, 0.5, 8.0, 40.0))
    return Break(dice.randrange(DEVICES), dice.uniform(0, TROUBLED_S), for_s, notice_s)


def lost(dice: random.Random) -> TrainerLoss:
    return TrainerLoss(dice.randrange(DEVICES), dice.uniform(0, TROUBLED_S))


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_goes_wrong_nothing_is_lost_and_all_hold_the_last_model(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(f"misfortune {seed}")
    chunk_bytes = dice.choice((20, 50, 120, 65536))
    monkeypatch.setattr(outbox, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(feed, "CHUNK_BYTES", chunk_bytes)
    world = World(drawn(dice), MassAudit(SIZE))
    history = world.run(until=2000.0)
    assert history.version == 60
    for one in world.devices:
        assert one.core.figures.checksum == history.rows[-1].checksum, one.notes[-5:]
