"""The update rate in a whole fleet: what devices send is what the rules make of what they told, exactly.

The checks of docs/density.md's reconstruction that need a world: frozen rates are federated averaging bit for bit,
planted groups are found, a rate's path follows from the losses that were told, and a slow link sends what it hides.
"""

from __future__ import annotations

from statistics import median_low

import numpy as np
import pytest
import torch

from thinwire.common.codec import Limits, ValueCode, kept_of, unpack
from thinwire.common.link import LinkProfile
from thinwire.common.values import Plan
from thinwire.server import effects, events
from thinwire.server.density import DeltaSeen, DensityRules, Dynamic, LinkRules
from thinwire.server.policy import Sync
from thinwire.server.rules import Rules
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Device, Scenario
from thinwire.sim.world import Watch, World
from thinwire.tasks import DeviceInfo
from thinwire.tasks.watch import WatchActivity
from thinwire.trainer.course import Learner
from thinwire.trainer.learner import TaskLearner

SIZE, DEVICES, WINDOW = 400, 5, 2
DRAW = np.random.default_rng(11)
GOAL_2P = DRAW.normal(size=(2, SIZE)).astype(np.float32)
CURVATURE_P = DRAW.uniform(0.2, 2, size=SIZE).astype(np.float32)
NAMES = [f"device-{number}" for number in range(DEVICES)]


class Seen(Watch):
    """What the coordinator was told, and what it let devices send."""

    def __init__(self) -> None:
        self.deltas: list[list[events.DeltaSealed]] = [[]]  # by version
        self.kept: list[dict[str, int]] = [{}]
        self.kept_down: list[int] = []

    def decided(self, world: World, event: events.Event, decided: list[effects.Effect]) -> None:
        for effect in decided:
            if isinstance(effect, effects.Settled) and isinstance(event, events.DeltaSealed):
                self.deltas[-1].append(event)
                self.kept[-1][event.device] = effect.kept
            elif isinstance(effect, effects.Published):
                self.kept_down.append(effect.commit.kept)
                self.deltas.append([])
                self.kept.append({})


def rounds(
    count: int, density: DensityRules | None, *, planted: bool = False, plan: Plan | None = None
) -> tuple[World, Seen]:
    """Rounds in which every device waits for the commit; even and odd ones learn two things when `planted`."""
    up = density.up if density else 1.0
    scenario = Scenario(
        learner=lambda number: Quadratic(GOAL_2P[number % 2 if planted else 0], CURVATURE_P),
        rules=Rules(
            policy=Sync(1.0, 1e6), density_down=1.0, density=density, values_down=ValueCode.FP32,
            min_devices=DEVICES, max_commits=count, evaluate=False,
        ),
        plan=plan or Plan(local_steps=3, density=up, values="fp32", overlap=False, learning_rate=0.05),
        devices=DEVICES * (Device(),),
    )  # fmt: skip
    seen = Seen()
    world = World(scenario, seen)
    assert world.run(until=1e5).version == count
    return world, seen


@pytest.mark.parametrize("policy", ["temporal", "spatial", "spatio-temporal"])
def test_rates_frozen_at_one_are_federated_averaging_bit_for_bit(policy: str) -> None:
    """Of which `test_fedavg` shows that it is the textbook's."""
    frozen = DensityRules(policy=policy, up=1.0, down=1.0, least=1.0, most=1.0, ladder=(), window=WINDOW)
    (fixed, _), (rated, seen) = rounds(12, None), rounds(12, frozen)
    assert {kept for row in seen.kept[:-1] for kept in row.values()} == {SIZE}
    assert rated.coordinator.core.model.checksum == fixed.coordinator.core.model.checksum
    assert np.array_equal(rated.coordinator.core.model.weights_P, fixed.coordinator.core.model.weights_P)


def by_the_rule(told: list[dict[str, float]], rules: DensityRules) -> list[float]:
    """The window rule in a few lines of its own: the density of each round."""
    density, path = rules.up, []
    before: dict[str, float] = {}
    changed_from, rest = None, 0
    for number in range(0, len(told), WINDOW):
        path += WINDOW * [density]
        window = told[number : number + WINDOW]
        now = {name: sum(row[name] for row in window) / WINDOW for name in NAMES}
        if before:
            gain = median_low((before[name] - now[name]) / before[name] for name in NAMES)
            if rest:
                rest -= 1
            elif changed_from is not None and gain < -rules.plateau:
                density, changed_from, rest = changed_from, None, 2
            else:
                new = density
                if gain < rules.plateau:
                    new = min(rules.most, density * 1.5)
                elif gain > rules.progress:
                    new = max(rules.least, density / 1.25)
                density, changed_from = new, density if new != density else None
        before = now
    return path


def test_what_devices_send_follows_from_the_losses_that_they_told() -> None:
    rules = DensityRules(policy="temporal", up=0.05, down=0.1, least=0.03, most=0.3, ladder=(), window=WINDOW)
    _, seen = rounds(60, rules, planted=True)
    told = [{event.device: event.loss or 0.0 for event in row} for row in seen.deltas[:-1]]
    path = by_the_rule(told, rules)
    assert [set(row.values()) for row in seen.kept[:-1]] == [{kept_of(density, SIZE)} for density in path]
    # At first the loss falls fast, and less is sent; where it ends, more.
    assert min(path) == rules.least
    assert path[-1] > rules.up
    # A commit is closed before its own window is judged, so it has the density of its round.
    assert seen.kept_down == [kept_of(2 * density, SIZE) for density in path]


@pytest.mark.parametrize("policy", ["temporal", "spatial", "spatio-temporal"])
def test_another_policy_that_sees_the_same_deltas_decides_the_same(policy: str) -> None:
    """Whatever else the coordinator saw."""
    rules = DensityRules(policy=policy, up=0.05, down=0.1, ladder=(0.2, 0.1, 0.05), window=WINDOW, least=0.02)
    world, seen = rounds(40, rules, planted=True)
    again = Dynamic(rules)
    limits = Limits(world.coordinator.core.model.layout.hash, SIZE, SIZE)
    paths = set()
    for row, kept in zip(seen.deltas[:-1], seen.kept[:-1], strict=True):
        assert kept == {name: kept_of(again.density_of(name), SIZE) for name in NAMES}
        for event in row:
            delta = unpack(event.payload, limits)
            sent = len(delta.index_K) / SIZE
            again.see_delta(
                DeltaSeen(event.device, 1 / DEVICES, delta.index_K, delta.value_K, event.loss, event.energy, sent)
            )
        again.see_commit()
        paths.add(tuple(kept.values()))
    assert len(paths) > 3, "a rate that never changed would show nothing"
    groups = [again.group_of(name) for name in NAMES]
    assert groups == ([0] * DEVICES if policy == "temporal" else [0, 1, 0, 1, 0])


# -- groups on real data -------------------------------------------------------------------------------------------


class Shifted(WatchActivity):
    """The activity task, with other names for its exercises."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self._shift = shift

    def loss(self, model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        windows, labels = batch
        return super().loss(model, (windows, (labels + self._shift) % 7))


def groups_on_watch(shifts: list[int], shards: list[int]) -> list[int]:
    """The groups after two windows of five rounds, that is, in the first grouping."""

    def learner(number: int) -> Learner:
        torch.manual_seed(5)
        return TaskLearner(Shifted(shifts[number]), DeviceInfo("", shards[number], 10, seed=2 + number))

    rules = Rules(
        policy=Sync(1.0, 1e6), density=DensityRules(policy="spatial", up=0.05, down=0.1),
        min_devices=len(shifts), max_commits=10, evaluate=False,
    )  # fmt: skip
    plan = Plan(local_steps=10, density=0.05, learning_rate=0.05)
    world = World(Scenario(learner=learner, rules=rules, plan=plan, devices=len(shifts) * (Device(),)))
    assert world.run(until=1e5).version == 10
    policy = world.coordinator.core.state.density
    assert policy is not None
    return [policy.group_of(f"device-{number}") for number in range(len(shifts))]


def test_people_who_call_their_exercises_by_other_names_are_another_group() -> None:
    assert groups_on_watch([0, 3] * 4, shards=list(range(8))) == [0, 1] * 4


def test_devices_that_draw_from_the_same_data_are_one_group() -> None:
    assert groups_on_watch([0] * 8, shards=[0] * 8) == [0] * 8


# -- links ---------------------------------------------------------------------------------------------------------


def test_a_slow_link_sends_what_it_hides_behind_the_local_steps_and_a_fast_one_what_the_plan_says() -> None:
    """3 steps of 0.1 s hide 0.8 * 0.3 s of the rate; 20,000 parameters at 4 bytes and more would not fit."""
    size, rate_bps = 20_000, 256_000.0
    fast = Device(step_s=0.1, link=LinkProfile(rtt_s=0.2, rate_bps=1e8))
    slow = Device(step_s=0.1, link=LinkProfile(rtt_s=0.2, rate_bps=rate_bps))
    goal_P = np.random.default_rng(3).normal(size=size)
    sizes: dict[str, list[int]] = {"device-0": [], "device-1": []}

    class Sizes(Watch):
        def decided(self, world: World, event: events.Event, decided: list[effects.Effect]) -> None:
            if isinstance(event, events.DeltaSealed):
                sizes[event.device].append(len(event.payload))

    scenario = Scenario(
        learner=lambda number: Quadratic(goal_P, np.ones(size)),
        rules=Rules(policy=Sync(0.5, 1.0), density_down=0.01, min_devices=2, evaluate=False),
        plan=Plan(local_steps=3, density=0.3, values="fp32", learning_rate=0.01),
        devices=(fast, slow),
        links=LinkRules(least=0.001),
    )
    world = World(scenario, Sizes())
    world.run(until=60.0)
    plans = world.coordinator.bulletin.plans
    assert plans.density("device-0") == 0.3
    hidden_bytes = 0.3 * rate_bps / 8
    assert sizes["device-1"][0] > hidden_bytes
    assert all(hidden_bytes / 2 < size_bytes < hidden_bytes for size_bytes in sizes["device-1"][-20:])


@pytest.mark.parametrize(
    "density",
    [
        DensityRules(policy="temporal", up=0.05, down=0.1, least=0.001, ladder=(), window=WINDOW, by_link=True),
        DensityRules(policy="fixed", up=0.05, down=0.1, most=0.05, window=WINDOW, by_link=True),
    ],
    ids=["temporal", "fixed"],
)
def test_commits_follow_what_links_leave_of_the_rates(density: DensityRules) -> None:
    """Nobody can send at the policy's rate; commits carry twice what comes, not twice what might have."""
    size, seen = 20_000, Seen()
    goal_P = np.random.default_rng(3).normal(size=size)
    scenario = Scenario(
        learner=lambda number: Quadratic(goal_P, np.ones(size)),
        rules=Rules(
            policy=Sync(1.0, 1e6), density=density, values_down=ValueCode.FP32, min_devices=2, evaluate=False
        ),
        # The loss hardly falls, so a rate that may rise does.
        plan=Plan(local_steps=3, density=0.05, values="fp32", learning_rate=1e-5),
        devices=2 * (Device(step_s=0.1, link=LinkProfile(rtt_s=0.2, rate_bps=64e3)),),
        links=LinkRules(least=0.001),
    )
    world = World(scenario, seen)
    world.run(until=60.0)
    policy = world.coordinator.core.state.density
    assert policy is not None
    assert policy.density_of("device-0") == (0.05 if density.policy == "fixed" else 0.3)
    sent = np.mean([kept for row in seen.kept[-31:-1] for kept in row.values()])
    assert sent < 0.5 * 0.05 * size, "the link is what decides"
    assert np.mean(seen.kept_down[-30:]) == pytest.approx(2 * sent, rel=0.1)
