"""Without delay the runtime is the textbook's loop, bit for bit: C1 (everything sent) and C2 (top-k, residual)."""

import numpy as np
import pytest
from dyadic import DEVICES, SIZE, model, plan, played, rules, same, stepped

ROUNDS, KEPT = 4, 4


def top(row_P: np.ndarray, kept: int) -> np.ndarray:
    chosen = np.argsort(-np.abs(row_P), kind="stable")[:kept]
    return np.where(np.isin(np.arange(SIZE), chosen), row_P, 0.0)


@pytest.mark.parametrize("denominator", ["all", "covered"])
@pytest.mark.parametrize("omega", [0.0, 0.5, 1.0])
def test_c1_everything_sent_is_federated_averaging(omega: float, denominator: str) -> None:
    wanted_P = np.zeros(SIZE)
    for _ in range(ROUNDS):
        local_NP = np.tile(wanted_P, (DEVICES, 1))
        for _ in range(2):
            local_NP = stepped(local_NP)
        wanted_P = local_NP.mean(axis=0)
    world = played(plan(overlap=False, omega=omega), rules(ROUNDS, denominator=denominator))
    assert same(model(world), wanted_P)


@pytest.mark.parametrize("omega", [0.0, 0.5, 1.0])
def test_c2_top_k_is_federated_averaging_with_error_feedback(omega: float) -> None:
    wanted_P, residual_NP = np.zeros(SIZE), np.zeros((DEVICES, SIZE))
    for _ in range(ROUNDS):
        local_NP = np.tile(wanted_P, (DEVICES, 1))
        for _ in range(2):
            local_NP = stepped(local_NP)
        offered_NP = residual_NP + local_NP - wanted_P
        sent_NP = np.stack([top(row_P, KEPT) for row_P in offered_NP])
        residual_NP = offered_NP - sent_NP
        wanted_P = wanted_P + sent_NP.mean(axis=0)
    world = played(plan(overlap=False, omega=omega, density=KEPT / SIZE), rules(ROUNDS))
    assert same(model(world), wanted_P)
    for device, wanted in zip(world.devices, residual_NP, strict=True):
        assert device.trainer is not None
        assert same(device.trainer.course.replica.residual_P, wanted)
