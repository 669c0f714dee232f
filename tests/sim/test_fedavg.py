"""Several devices, everything sent, rounds, no delay: that is federated averaging (McMahan et al., 2017).

The reference is the textbook's loop, and shares no code with the project but the task.
"""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from thinwire.common.codec import ValueCode
from thinwire.common.values import Plan
from thinwire.server.policy import Sync
from thinwire.server.rules import Rules
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Device, Scenario
from thinwire.sim.world import World
from thinwire.tasks import DeviceInfo
from thinwire.tasks.watch import WatchActivity
from thinwire.trainer.course import Learner
from thinwire.trainer.learner import TaskLearner

Vector = NDArray[np.float32]
ROUNDS, LOCAL_STEPS, RATE = 4, 3, 0.05
PLAN = Plan(local_steps=LOCAL_STEPS, density=1.0, values="fp32", overlap=False, learning_rate=RATE)
WEIGHTS = pytest.mark.parametrize("weights", ["uniform", "examples"])


def rounds(learners: Sequence[Learner], weights: str, denominator: str = "covered") -> World:
    """A world that has played ROUNDS rounds with these learners, which keep different paces."""
    rules = Rules(
        policy=Sync(1.0, 1e6), density_down=1.0, values_down=ValueCode.FP32, min_devices=len(learners), weights=weights,
        denominator=denominator, max_commits=ROUNDS, evaluate=False,
    )  # fmt: skip
    devices = tuple(Device(step_s=1.0 + 0.3 * number) for number in range(len(learners)))
    world = World(Scenario(learner=lambda number: learners[number], rules=rules, plan=PLAN, devices=devices))
    history = world.run(until=1e4)
    assert [row.folded for row in history.rows] == ROUNDS * [len(learners)]
    return world


def people(count: int, norm: str) -> list[TaskLearner]:
    learners = []
    for shard in range(count):
        torch.manual_seed(5)
        learners.append(TaskLearner(WatchActivity(norm=norm), DeviceInfo("", shard, count, seed=2)))
    return learners


def averaged(count: int, norm: str, shares: Sequence[float]) -> dict[str, torch.Tensor]:
    """Federated averaging, as in the textbook: state dicts, weighted means."""
    task = WatchActivity(norm=norm)
    torch.manual_seed(5)
    state = task.model().state_dict()
    batches = [task.batches(DeviceInfo("", shard, count, seed=2)) for shard in range(count)]
    for _ in range(ROUNDS):
        states = [local(task, state, batches[shard]) for shard in range(count)]
        state = {
            name: sum(share * one[name] for share, one in zip(shares, states, strict=True))
            if state[name].is_floating_point()
            else state[name]
            for name in state
        }
    return state


def local(task: WatchActivity, state: dict[str, torch.Tensor], batches: object) -> dict[str, torch.Tensor]:
    model = task.model()
    model.load_state_dict(state)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(LOCAL_STEPS):
        optimizer.zero_grad()
        task.loss(model, next(batches)).backward()  # type: ignore[call-overload]
        optimizer.step()
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def flat(model: nn.Module, state: dict[str, torch.Tensor]) -> tuple[Vector, Vector]:
    """A state's parameters and float buffers as two vectors."""
    parameters = [state[name].reshape(-1) for name, _ in model.named_parameters()]
    buffers = [state[name].reshape(-1) for name, b in model.named_buffers() if b.is_floating_point()]
    empty = torch.zeros(0)
    return torch.cat([*parameters, empty]).numpy(), torch.cat([*buffers, empty]).numpy()


@WEIGHTS
@pytest.mark.parametrize("norm", ["group", "batch"])
def test_a_network_is_averaged_with_its_batch_norm_moments(norm: str, weights: str) -> None:
    learners = people(3, norm)
    examples = [learner.examples if weights == "examples" else 1 for learner in learners]
    state = averaged(3, norm, [count / sum(examples) for count in examples])
    expected_P, expected_B = flat(WatchActivity(norm=norm).model(), state)
    model = rounds(learners, weights).coordinator.core.model
    assert np.abs(model.weights_P - expected_P).max() < 2e-6
    assert model.buffers_B.shape == expected_B.shape
    if norm == "batch":
        assert np.abs(model.buffers_B / expected_B - 1).max() < 1e-5
        assert all(np.array_equal(learner.read_buffers(), model.buffers_B) for learner in learners)


@WEIGHTS
@pytest.mark.parametrize("denominator", ["covered", "all"])
def test_quadratics_are_averaged_to_the_last_rounding(weights: str, denominator: str) -> None:
    draw = np.random.default_rng(1)
    goal_NP = draw.normal(size=(4, 200)).astype(np.float32)
    curvature_NP = draw.uniform(0.1, 2, size=(4, 200)).astype(np.float32)
    examples_N = np.array([1, 5, 9, 2])
    share_N = examples_N / examples_N.sum() if weights == "examples" else np.full(4, 0.25)

    expected_P = np.zeros(200)
    for _ in range(ROUNDS):
        local_NP = np.tile(expected_P, (4, 1))
        for _ in range(LOCAL_STEPS):
            local_NP -= RATE * curvature_NP * (local_NP - goal_NP)
        expected_P = share_N @ local_NP

    learners = [Quadratic(goal_NP[n], curvature_NP[n], examples=int(examples_N[n])) for n in range(4)]
    found_P = rounds(learners, weights, denominator).coordinator.core.model.weights_P
    assert np.abs(found_P - expected_P).max() < 2e-7
