"""C3: a device trains on W plus its pending work at every moment, whatever breaks; C12: a long way is hidden."""

import random

import numpy as np
import pytest

from thinwire.common.codec import ValueCode
from thinwire.common.link import LinkProfile
from thinwire.common.values import Plan
from thinwire.server.policy import Buffered, Sync
from thinwire.server.rules import Rules
from thinwire.sim.learners import Quadratic, WholeSteps
from thinwire.sim.scenario import Break, Device, Scenario, TrainerLoss
from thinwire.sim.world import Watch, World

SIZE = 48


class Identity(Watch):
    """x - (W + Pend), of each device at each moment; whole numbers make it exact."""

    def __init__(self) -> None:
        self.moments = self.most_pending = 0
        self.kept = 0.0

    def moment(self, world: World) -> None:
        for device in world.devices:
            if device.trainer is None or not device.trainer.course.replica.based:
                continue
            replica = device.trainer.course.replica
            live_P = replica.working_P.astype(np.float64) - replica.origin_P
            pending_P = replica.unsent_P + live_P
            if replica.residual:
                pending_P = pending_P + replica.residual_P
                self.kept = max(self.kept, float(np.abs(replica.residual_P).max()))
            for delta in replica.pending.values():
                pending_P[delta.index_K] += delta.value_K
            assert np.array_equal(replica.working_P, replica.base_P + pending_P)
            self.moments += 1
            self.most_pending = max(self.most_pending, len(replica.pending))


@pytest.mark.parametrize("selection", ["", "mask"])
@pytest.mark.parametrize("residual", ["", "keep", "private"])
def test_c3_the_working_model_is_the_base_plus_what_is_pending(residual: str, selection: str) -> None:
    dice = random.Random(5)
    scenario = Scenario(
        learner=lambda number: WholeSteps(SIZE, seed=number),
        rules=Rules(policy=Buffered(3), values_down=ValueCode.FP32, density_down=0.3, min_devices=4, evaluate=False),
        plan=Plan(
            local_steps=4, density=0.25, values="fp32", window=6, omega=1.0, residual=residual, selection=selection
        ),
        devices=tuple(
            Device(link=LinkProfile(rtt, 1500.0, 0.5), step_s=0.4, stammer=0.2) for rtt in (1.0, 3.0, 5.0, 9.0)
        ),
        breaks=tuple(Break(dice.randrange(4), dice.uniform(20, 90), dice.uniform(0, 15), 2.0) for _ in range(12)),
        trainer_losses=(TrainerLoss(1, 40.0), TrainerLoss(2, 55.0)),
        max_staleness=12,
    )
    watch = Identity()
    assert World(scenario, watch).run(until=100.0).version > 15
    assert watch.most_pending > 3
    assert watch.moments > 1000
    assert (watch.kept > 0) == bool(residual)


@pytest.mark.parametrize("rounds_away", [0, 5])
def test_c12_with_a_round_trip_of_five_rounds_a_round_takes_no_longer(rounds_away: int) -> None:
    """K steps of one second a round: from one commit to the next it takes K seconds, however far away devices are."""
    local_steps, rounds = 10, 40
    scenario = Scenario(
        learner=lambda number: Quadratic(np.ones(SIZE), np.ones(SIZE)),
        rules=Rules(policy=Sync(1.0, 1e6), min_devices=3, max_commits=rounds, evaluate=False),
        plan=Plan(local_steps=local_steps, density=0.5, learning_rate=0.01, window=8),
        devices=3 * (Device(link=LinkProfile(float(rounds_away * local_steps), 1e9)),),
    )
    world = World(scenario)
    history = world.run(until=1e5)
    assert history.version == rounds
    assert history.rows[-1].time - history.rows[0].time == pytest.approx((rounds - 1) * local_steps)
    for device in world.devices:
        assert device.trainer is not None
        course = device.trainer.course
        assert course.compute_s / (course.compute_s + course.wait_s) > 0.95
        # With nothing in the way the commit still finds the next step begun.
        delays = course.replica.delays
        late = max(1, rounds_away * local_steps)
        assert late <= delays.percentile(0.5) <= delays.percentile(0.95) <= late + 1
