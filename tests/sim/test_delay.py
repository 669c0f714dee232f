"""What a device trains on while its work is under way, and what the correction for delay is worth."""

import numpy as np
import pytest

from thinwire.common.codec import ValueCode
from thinwire.common.link import LinkProfile
from thinwire.common.values import Plan
from thinwire.server.policy import Buffered, Sync
from thinwire.server.rules import Rules
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Break, Device, Scenario
from thinwire.sim.world import Watch, World

ENDLESS = 1e9  # bit/s: only the round trip counts


class Identity(Watch):
    """w = W + omega * (F + A), at every moment, for every device; w as of its last rebase."""

    def __init__(self) -> None:
        self.worst = 0.0
        self.most_pending = 0

    def moment(self, world: World) -> None:
        for device in world.devices:
            if device.trainer is None or not device.trainer.course.replica.based:
                continue
            replica = device.trainer.course.replica
            expected_P = replica.base_P + np.float32(replica.omega) * replica.unsent_P.astype(np.float64)
            for delta in replica.pending.values():
                expected_P[delta.index_K] += replica.omega * delta.value_K.astype(np.float64)
            self.worst = max(self.worst, float(np.abs(replica.origin_P - expected_P).max()))
            self.most_pending = max(self.most_pending, len(replica.pending))


@pytest.mark.parametrize("values", ["fp32", "log3"])
@pytest.mark.parametrize("omega", [0.0, 0.5, 1.0])
def test_a_device_trains_on_the_model_plus_its_share_of_what_is_pending(omega: float, values: str) -> None:
    size = 40
    goal_NP = np.random.default_rng(3).normal(size=(3, size)).astype(np.float32)
    scenario = Scenario(
        learner=lambda number: Quadratic(goal_NP[number], np.ones(size, np.float32)),
        rules=Rules(policy=Buffered(2), min_devices=3, evaluate=False, values_down=ValueCode(values)),
        plan=Plan(local_steps=3, density=0.2, values=values, omega=omega, learning_rate=0.02),
        devices=tuple(Device(link=LinkProfile(rtt, 5e3, 1.0), step_s=0.4) for rtt in (1.0, 6.0, 12.0)),
        breaks=tuple(Break(number % 3, 30.0 + 8.0 * number, 7.0, 2.0) for number in range(7)),
        max_staleness=12,
    )
    watch = Identity()
    assert World(scenario, watch).run(until=90.0).version >= 20
    assert watch.most_pending > 3
    assert watch.worst < 1e-5


def lone_descent(omega: float, h_tau: float) -> float:
    """|w| at the coordinator after 20 delays, from 1, of one device with curvature 1 and goal 0."""
    delay_steps = 200
    scenario = Scenario(
        learner=lambda number: Quadratic(np.zeros(1), np.ones(1), start_P=np.ones(1)),
        rules=Rules(policy=Buffered(1), density_down=1.0, values_down=ValueCode.FP32, evaluate=False),
        plan=Plan(
            local_steps=10, density=1.0, values="fp32", omega=omega, learning_rate=h_tau / delay_steps, window=100
        ),
        devices=(Device(link=LinkProfile(float(delay_steps), ENDLESS)),),
    )
    world = World(scenario)
    world.run(until=20.0 * delay_steps)
    return abs(float(world.coordinator.core.model.weights_P[0]))


@pytest.mark.parametrize(("omega", "decays"), [(0.5, True), (0.3, False)])
def test_half_is_stable_where_less_is_not(omega: float, decays: bool) -> None:
    """x' = -omega h x(t) - (1 - omega) h x(t - tau): stable for every tau from omega = 1/2 on; 0.3 up to 3.2."""
    left = lone_descent(omega, h_tau=10.0)
    assert left < 0.1 if decays else left > 100.0


@pytest.mark.parametrize(("h_tau", "decays"), [(1.2, True), (2.0, False)])
def test_without_correction_the_limit_is_half_pi(h_tau: float, decays: bool) -> None:
    left = lone_descent(0.0, h_tau)
    assert left < 0.1 if decays else left > 10.0


def sparse_descent(h_eta_k_over_rho: float, omega: float, residual: str, delay_steps: int) -> float:
    """Root mean square of w at the coordinator after 200 rounds, from 1, of one device with curvature 1 and goal 0."""
    size, local_steps, density = 200, 10, 0.05
    start_P = np.random.default_rng(1).normal(size=size)
    scenario = Scenario(
        learner=lambda number: Quadratic(np.zeros(size), np.ones(size), start_P=start_P),
        rules=Rules(
            policy=Buffered(1), density_down=1.0, values_down=ValueCode.FP32, max_commits=200, evaluate=False
        ),
        plan=Plan(
            local_steps=local_steps, density=density, values="fp32", omega=omega, residual=residual,
            learning_rate=h_eta_k_over_rho * density / local_steps, overlap=delay_steps > 0,
        ),
        devices=(Device(link=LinkProfile(float(delay_steps), ENDLESS) if delay_steps else None),),
    )  # fmt: skip
    world = World(scenario)
    assert world.run(until=1e5).version == 200
    return float(np.sqrt(np.square(world.coordinator.core.model.weights_P).mean()))


@pytest.mark.parametrize("delay_steps", [0, 20])
@pytest.mark.parametrize("omega", [0.5, 1.0])
def test_released_work_that_waits_to_be_sent_has_a_limit_that_omega_does_not_lift(
    omega: float, delay_steps: int
) -> None:
    """h eta K / rho up to about 2, for a coordinate waits 1 / rho deltas for its turn; with "keep" there is none."""
    assert sparse_descent(1.0, omega, "", delay_steps) < 1e-3
    assert sparse_descent(8.0, omega, "", delay_steps) > 100.0
    assert sparse_descent(8.0, omega, "keep", delay_steps) < 0.1


def distance(omega: float, rtt_s: float, *, buffer: int = 2, drift: float = 0.0, memory: float = 0.0) -> float:
    """How far from the fleet's optimum the model ends, when four devices with goals of their own work for 400 steps."""
    size = 50
    draw = np.random.default_rng(8)
    goal_NP = draw.normal(size=(4, size)).astype(np.float32)
    curvature_NP = draw.uniform(0.5, 1.5, size=(4, size)).astype(np.float32)
    rules = Rules(
        policy=Buffered(buffer), min_devices=4, denominator="all", density_down=1.0, values_down=ValueCode.FP32,
        evaluate=False,
    )  # fmt: skip
    scenario = Scenario(
        learner=lambda number: Quadratic(goal_NP[number], curvature_NP[number]),
        rules=rules,
        plan=Plan(
            local_steps=5, density=1.0, values="fp32", omega=omega, learning_rate=0.05, window=40, drift=drift,
            drift_memory=memory,
        ),
        devices=tuple(Device(link=LinkProfile(rtt_s, ENDLESS), step_s=1.0) for _ in range(4)),
    )  # fmt: skip
    world = World(scenario)
    world.run(until=400.0)
    optimum_P = (curvature_NP * goal_NP).sum(axis=0) / curvature_NP.sum(axis=0)
    return float(np.linalg.norm(world.coordinator.core.model.weights_P - optimum_P) / np.linalg.norm(optimum_P))


def test_the_correction_is_worth_a_training_when_links_are_slow() -> None:
    """Delays of sixty steps, h tau = 3: overwriting (omega 0) runs away, one half arrives; within a round both do."""
    assert distance(omega=0.0, rtt_s=60.0) > 1.0, "farther away than where it began"
    assert distance(omega=0.5, rtt_s=60.0) < 0.25
    assert distance(omega=0.0, rtt_s=4.0) < 0.06
    assert distance(omega=0.5, rtt_s=4.0) < 0.06


@pytest.mark.parametrize(("drift", "memory", "gains"), [(0.25, 0.9, True), (1.0, 0.9, False), (0.25, 0.8, False)])
def test_over_rounds_of_delay_drift_correction_gains_if_weak_and_slow_and_else_gives_way(
    drift: float, memory: float, gains: bool
) -> None:
    """Own pending work counts omega - gamma in the long run, so differences pull devices apart so much less."""
    plain = distance(omega=0.5, rtt_s=30.0, buffer=4)
    corrected = distance(omega=0.5, rtt_s=30.0, buffer=4, drift=drift, memory=memory)
    assert corrected < 0.75 * plain if gains else corrected == plain


def test_overlap_fills_the_round_trip_with_steps() -> None:
    """Round trips of 40 steps: who waits takes 10 steps in 50, who overlaps takes 50 in 50."""
    steps = {}
    for overlap in (False, True):
        scenario = Scenario(
            learner=lambda number: Quadratic(np.ones(8), np.ones(8)),
            rules=Rules(policy=Sync(1.0, 1e6), min_devices=2, evaluate=False),
            plan=Plan(local_steps=10, density=1.0, overlap=overlap, learning_rate=0.01, window=8),
            devices=2 * (Device(link=LinkProfile(40.0, ENDLESS)),),
        )
        world = World(scenario)
        world.run(until=1000.0)
        steps[overlap] = [device.trainer.course.steps for device in world.devices if device.trainer]
        ratios = [device.core.meter.hidden_s / device.core.meter.transfer_s for device in world.devices]
        assert all(ratio > 0.99 if overlap else ratio < 0.01 for ratio in ratios)
    assert all(4.5 < with_ / without < 5.5 for with_, without in zip(steps[True], steps[False], strict=True))


def arrival_s(*, overlap: bool, rtt_s: float) -> tuple[float, int]:
    """When two devices with steps of 1 s have come within a tenth of their optimum, and in how many rounds."""
    scenario = Scenario(
        learner=lambda number: Quadratic(np.ones(8), np.ones(8)),
        rules=Rules(
            policy=Sync(1.0, 1e6), min_devices=2, denominator="all", density_down=1.0, values_down=ValueCode.FP32,
            evaluate=False,
        ),
        plan=Plan(local_steps=10, density=1.0, values="fp32", overlap=overlap, learning_rate=0.005, window=8),
        devices=2 * (Device(link=LinkProfile(rtt_s, ENDLESS)),),
    )  # fmt: skip
    world = World(scenario)
    model = world.coordinator.core.model
    while np.abs(1.0 - model.weights_P).max() > 0.1:
        assert world.agenda.step(until=1e5)
    return world.agenda.now, model.version


def test_with_overlap_the_time_to_a_target_is_flat_in_the_round_trip_and_without_it_grows_by_one_a_round() -> None:
    """The claim of delayed averaging (Zhu et al., 2021), up to as many rounds of delay as deltas may be under way."""
    near_s, rounds = arrival_s(overlap=False, rtt_s=0.0)
    for rtt_s in (20.0, 60.0):
        assert arrival_s(overlap=False, rtt_s=rtt_s)[0] == pytest.approx(near_s + rounds * rtt_s, abs=2 * rtt_s)
        assert arrival_s(overlap=True, rtt_s=rtt_s)[0] < near_s + 2 * rtt_s


def test_who_waits_for_outcomes_goes_on_though_its_delta_is_in_no_commit_that_it_has_seen() -> None:
    """Ten devices, three deltas a commit, one delta under way each: it gets commits only after its next delta."""
    scenario = Scenario(
        learner=lambda number: Quadratic(np.ones(8), np.ones(8)),
        rules=Rules(policy=Buffered(3, window=1), min_devices=10, evaluate=False),
        plan=Plan(
            local_steps=10, density=1.0, overlap=False, learning_rate=0.01, window=1, waits_for="outcome",
            rebase="at-cut",
        ),
        devices=10 * (Device(step_s=0.1),),
    )  # fmt: skip
    assert World(scenario).run(until=30.0).version > 90
