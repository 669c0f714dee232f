"""Rounds without delay where each device sends its top k: FedAvg with error feedback, against a loop of its own."""

import numpy as np
import pytest

from thinwire.common.codec import ValueCode
from thinwire.common.values import Plan
from thinwire.server.policy import Sync
from thinwire.server.rules import Rules
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Device, Scenario
from thinwire.sim.world import World

DEVICES, SIZE, KEPT, KEPT_DOWN = 5, 120, 6, 24
ROUNDS, LOCAL_STEPS, RATE = 30, 3, 0.02
DRAW = np.random.default_rng(9)
GOAL_NP = DRAW.normal(size=(DEVICES, SIZE)).astype(np.float32)
CURVATURE_NP = DRAW.uniform(0.2, 2, size=(DEVICES, SIZE)).astype(np.float32)


def expected(denominator: str, kept_down: int) -> np.ndarray:
    """w = W; K steps; a = e + w - W; c = top k of a; e = a - c; W += top k of (E + mean of c); and so on."""
    published_P, held_P = np.zeros(SIZE), np.zeros(SIZE)
    residual_NP = np.zeros((DEVICES, SIZE))
    for _ in range(ROUNDS):
        local_NP = np.tile(published_P, (DEVICES, 1))
        for _ in range(LOCAL_STEPS):
            local_NP -= RATE * CURVATURE_NP * (local_NP - GOAL_NP)
        residual_NP += local_NP - published_P
        sent_NP = np.stack([top(row_P, KEPT) for row_P in residual_NP])
        residual_NP -= sent_NP
        senders_P = (sent_NP != 0).sum(axis=0)
        held_P += sent_NP.sum(axis=0) / (DEVICES if denominator == "all" else np.maximum(senders_P, 1))
        commit_P = top(held_P, kept_down)
        held_P, published_P = held_P - commit_P, published_P + commit_P
    return published_P


def top(row_P: np.ndarray, kept: int) -> np.ndarray:
    chosen = np.argsort(-np.abs(row_P), kind="stable")[:kept]
    return np.where(np.isin(np.arange(SIZE), chosen), row_P, 0.0)


@pytest.mark.parametrize("omega", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("denominator", ["covered", "all"])
@pytest.mark.parametrize("kept_down", [SIZE, KEPT_DOWN])
def test_without_delay_it_is_fedavg_with_top_k_and_error_feedback(
    denominator: str, kept_down: int, omega: float
) -> None:
    """Whatever omega is: when a device trains, nothing of its own is pending."""
    plan = Plan(
        local_steps=LOCAL_STEPS, density=KEPT / SIZE, values="fp32", overlap=False, learning_rate=RATE, omega=omega
    )
    rules = Rules(
        policy=Sync(1.0, 1e6), density_down=kept_down / SIZE, values_down=ValueCode.FP32, min_devices=DEVICES,
        denominator=denominator, max_commits=ROUNDS, evaluate=False,
    )  # fmt: skip
    scenario = Scenario(
        learner=lambda number: Quadratic(GOAL_NP[number], CURVATURE_NP[number]),
        rules=rules,
        plan=plan,
        devices=DEVICES * (Device(),),
    )
    world = World(scenario)
    assert world.run(until=1e4).version == ROUNDS
    assert np.abs(world.coordinator.core.model.weights_P - expected(denominator, kept_down)).max() < 1e-5
