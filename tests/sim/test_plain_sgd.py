"""One device, everything sent, no delay: that is local SGD, and nothing of the machinery may show.

A cut turns w into W + (w - W), in float32. Where w is within a factor of two of W, or W is 0, the difference is exact
(Sterbenz) and so is the sum; elsewhere it may miss w by one rounding. So the weights are compared bit for bit with SGD
that is rounded once a cut in just that way, and, to the last roundings, with SGD as everyone writes it.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.utils import parameters_to_vector

from thinwire.common.codec import ValueCode
from thinwire.common.values import Plan
from thinwire.server.policy import Buffered, CommitPolicy, Sync
from thinwire.server.rules import Rules
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Device, Scenario
from thinwire.sim.world import World
from thinwire.tasks import DeviceInfo
from thinwire.tasks.flat import FlatModel
from thinwire.tasks.watch import WatchActivity
from thinwire.trainer.course import Learner
from thinwire.trainer.learner import TaskLearner

Vector = NDArray[np.float32]
COMMITS, LOCAL_STEPS = 6, 5
PERSON = DeviceInfo("watch", shard=3, shards=10, seed=1)
POLICIES = pytest.mark.parametrize("policy", [Buffered(1), Sync(1.0, 1e6)], ids=["async", "sync"])


def trained(learner: Learner, policy: CommitPolicy, **plan: object) -> Vector:
    """The coordinator's weights after COMMITS rounds with this one learner."""
    whole = Plan(local_steps=LOCAL_STEPS, density=1.0, values="fp32", overlap=False, **plan)  # type: ignore[arg-type]
    scenario = Scenario(
        learner=lambda number: learner,
        rules=Rules(policy=policy, density_down=1.0, values_down=ValueCode.FP32, max_commits=COMMITS, evaluate=False),
        plan=whole,
        devices=(Device(),),
    )
    world = World(scenario)
    assert world.run(until=1e4).version == COMMITS
    return world.coordinator.core.model.weights_P


def watch() -> TaskLearner:
    torch.manual_seed(11)
    return TaskLearner(WatchActivity(), PERSON)


def sgd(momentum: float = 0.0, *, flat: bool = False) -> Iterator[torch.nn.Module]:
    """Plain SGD on the same batches; gives the model after each LOCAL_STEPS steps.

    With `flat` its parameters lie in memory as a trainer's do: kernels round differently at other alignments.
    """
    task = WatchActivity()
    torch.manual_seed(11)
    model = FlatModel(task.model()).module if flat else task.model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=momentum)
    for step, batch in enumerate(task.batches(PERSON), start=1):
        optimizer.zero_grad()
        task.loss(model, batch).backward()
        optimizer.step()
        if step % LOCAL_STEPS == 0:
            yield model


def _write(weights_P: torch.Tensor, model: torch.nn.Module) -> None:
    with torch.no_grad():
        for parameter, piece in zip(
            model.parameters(), weights_P.split([p.numel() for p in model.parameters()]), strict=True
        ):
            parameter.copy_(piece.view_as(parameter))


@POLICIES
def test_a_network_trains_as_by_sgd_rounded_once_a_cut(policy: CommitPolicy) -> None:
    torch.manual_seed(11)
    published = parameters_to_vector(WatchActivity().model().parameters()).detach()
    for _, model in zip(range(COMMITS), sgd(flat=True), strict=False):
        moved = parameters_to_vector(model.parameters()).detach()
        published += moved - published
        _write(published, model)
    assert np.array_equal(trained(watch(), policy, learning_rate=0.05), published.numpy())


def test_a_network_trains_as_by_plain_sgd() -> None:
    model = [model for _, model in zip(range(COMMITS), sgd(), strict=False)][-1]
    plain = parameters_to_vector(model.parameters()).detach().numpy()
    assert np.abs(trained(watch(), Buffered(1), learning_rate=0.05) - plain).max() < 1e-7


def test_momentum_lives_through_commits() -> None:
    model = [model for _, model in zip(range(COMMITS), sgd(momentum=0.9), strict=False)][-1]
    plain = parameters_to_vector(model.parameters()).detach().numpy()
    found = trained(watch(), Buffered(1), learning_rate=0.05, momentum=0.9)
    assert np.abs(found - plain).max() < 1e-6


@POLICIES
def test_a_quadratic_descends_bit_for_bit(policy: CommitPolicy) -> None:
    """It starts at 0, and from then on each cut moves it by less than a factor of two: every difference is exact."""
    goal_P = np.random.default_rng(2).normal(size=500).astype(np.float32)
    learner = Quadratic(goal_P, np.full(500, 0.5, np.float32))
    plain_P = np.zeros(500, np.float32)
    for _ in range(COMMITS * LOCAL_STEPS):
        plain_P -= np.float32(0.0625) * np.float32(0.5) * (plain_P - goal_P)
    assert np.array_equal(trained(learner, policy, learning_rate=0.0625), plain_P)
