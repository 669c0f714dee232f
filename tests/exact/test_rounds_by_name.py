"""Methods that work in rounds, each by its name, against a few lines of numpy that share nothing with the runtime."""

import numpy as np
import pytest
from named import DEVICES, EXAMPLES_N, RATE, SIZE, STEPS, Rows, gradient, model, played, rounded, top

ROUNDS = 6
SHARE_N = EXAMPLES_N / EXAMPLES_N.sum()


def close(found_P: np.ndarray, wanted_P: Rows) -> bool:
    return bool(np.abs(found_P - wanted_P).max() < 3e-6)


def test_fedavg() -> None:
    """McMahan et al., 2017: the mean of the models, by examples."""
    wanted_P = np.zeros(SIZE)
    for _ in range(ROUNDS):
        wanted_P = SHARE_N @ rounded(wanted_P)
    assert close(model(played("fedavg", ROUNDS)), wanted_P)


def test_fedprox() -> None:
    """Li et al., 2020: each gradient gains mu (w - W)."""
    wanted_P, plain_P = np.zeros(SIZE), np.zeros(SIZE)
    for _ in range(ROUNDS):
        start_P = wanted_P
        wanted_P = SHARE_N @ rounded(start_P, lambda _, local_NP, start_P=start_P: 0.7 * (local_NP - start_P))
        plain_P = SHARE_N @ rounded(plain_P)
    assert not close(wanted_P, plain_P)
    assert close(model(played("fedprox", ROUNDS, "training.proximal=0.7")), wanted_P)


def test_scaffold() -> None:
    """Karimireddy et al., 2020, option II, everyone taking part: c_i+ = c_i - c + (x - y_i) / (K eta)."""
    wanted_P, common_P, own_NP = np.zeros(SIZE), np.zeros(SIZE), np.zeros((DEVICES, SIZE))
    for _ in range(ROUNDS):
        shift_NP = common_P - own_NP
        local_NP = rounded(wanted_P, lambda _, local_NP, shift_NP=shift_NP: shift_NP)
        own_NP = own_NP - common_P + (wanted_P - local_NP) / (STEPS * RATE)
        wanted_P, common_P = local_NP.mean(axis=0), own_NP.mean(axis=0)
    assert close(model(played("scaffold", ROUNDS)), wanted_P)
    assert not close(model(played("scaffold", ROUNDS, "correction.drift=0.0")), wanted_P)


@pytest.mark.parametrize("name", ["fedadam", "fedyogi"])
def test_adaptive_servers(name: str) -> None:
    """Reddi et al., 2021: the mean delta is a pseudo-gradient."""
    wanted_P, mean_P, square_P = np.zeros(SIZE), np.zeros(SIZE), np.full(SIZE, 1e-6)
    for _ in range(ROUNDS):
        delta_P = SHARE_N @ rounded(wanted_P) - wanted_P
        mean_P = 0.9 * mean_P + 0.1 * delta_P
        if name == "fedyogi":
            square_P = square_P - 0.01 * delta_P**2 * np.sign(square_P - delta_P**2)
        else:
            square_P = 0.99 * square_P + 0.01 * delta_P**2
        wanted_P = wanted_P + 0.03 * mean_P / (np.sqrt(square_P) + 1e-3)
    assert close(model(played(name, ROUNDS)), wanted_P)


def test_fedavg_with_top_k_and_error_feedback() -> None:
    """Stich et al., 2018, on deltas of a round; and the coordinator does the same on its way down."""
    wanted_P, held_P, residual_NP = np.zeros(SIZE), np.zeros(SIZE), np.zeros((DEVICES, SIZE))
    for _ in range(ROUNDS):
        residual_NP += rounded(wanted_P) - wanted_P
        sent_NP = np.stack([top(row_P, 6) for row_P in residual_NP])
        residual_NP -= sent_NP
        held_P += SHARE_N @ sent_NP
        commit_P = top(held_P, 12)
        held_P, wanted_P = held_P - commit_P, wanted_P + commit_P
    sets = ("density.up=0.1", "density.down=0.2", "density.values=fp32", "density.values_down=fp32")
    assert close(model(played("fedavg-topk", ROUNDS, *sets)), wanted_P)


@pytest.mark.parametrize("delay", [1, 2])
def test_diloco_with_a_delayed_outer_step(delay: int) -> None:
    """Streaming DiLoCo with one fragment: w = (w + W) / 2 when the outer Nesterov step of the last round is here."""
    wanted_P, velocity_P, local_NP = np.zeros(SIZE), np.zeros(SIZE), np.zeros((DEVICES, SIZE))
    for number in range(ROUNDS):
        local_NP = local_after(local_NP, STEPS - delay if number else STEPS)
        sent_NP = local_NP - wanted_P
        local_NP = local_after(local_NP, delay)
        velocity_P = 0.9 * velocity_P + sent_NP.mean(axis=0)
        wanted_P = wanted_P + 0.7 * (sent_NP.mean(axis=0) + 0.9 * velocity_P)
        local_NP = 0.5 * local_NP + 0.5 * wanted_P
    found = model(played("diloco-delayed", ROUNDS, f"training.local_steps={STEPS}", delay=delay))
    assert close(found, wanted_P)


def local_after(local_NP: Rows, steps: int) -> Rows:
    for _ in range(steps):
        local_NP = local_NP - RATE * gradient(local_NP)
    return local_NP
