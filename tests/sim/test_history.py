"""One seed, one history: bit for bit, whatever breaks on the way."""

import numpy as np

from thinwire.common.link import LinkProfile
from thinwire.common.values import Plan
from thinwire.server.policy import Buffered
from thinwire.server.rules import Rules
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Break, Device, History, Scenario, TrainerLoss
from thinwire.sim.world import World

SIZE = 60


def history(seed: int) -> History:
    goals = np.random.default_rng(5).normal(size=(3, SIZE)).astype(np.float32)
    scenario = Scenario(
        learner=lambda number: Quadratic(goals[number], np.ones(SIZE, np.float32)),
        rules=Rules(policy=Buffered(2), min_devices=3, density_down=0.3, evaluate=False),
        plan=Plan(local_steps=3, density=0.1),
        devices=tuple(Device(link=LinkProfile(rtt, 2e4, jitter_s=1.0), step_s=0.4) for rtt in (0.5, 2.0, 5.0)),
        breaks=(Break(0, 20.0, 4.0), Break(1, 31.5, 9.0, notice_s=3.0)),
        trainer_losses=(TrainerLoss(2, 40.0),),
        trainer_start_s=1.0,
        seed=seed,
    )
    return World(scenario).run(until=90.0)


def test_the_same_seed_gives_the_same_history() -> None:
    first = history(1)
    assert first.version > 40
    assert history(1) == first


def test_another_seed_gives_another_history() -> None:
    assert history(2) != history(1)


def test_rows_count_versions_time_and_bytes_upwards() -> None:
    rows = history(1).rows
    assert [row.version for row in rows] == list(range(1, len(rows) + 1))
    for name in ("time", "up_bytes", "down_bytes"):
        values = [getattr(row, name) for row in rows]
        assert values == sorted(values)
    assert all(row.folded >= 2 for row in rows)
