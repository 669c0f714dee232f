"""With delay: C6 (a shared mask and "keep" average models on the mask), C7 (the exact Taylor term undoes the delay)."""

from dataclasses import replace

import numpy as np
import pytest
from dyadic import DEVICES, RATE, SIZE, late, model, plan, played, rules, same, stepped, working
from numpy.typing import NDArray

from thinwire.common.codec import ValueCode
from thinwire.common.codec.mask import drawn, seed_of
from thinwire.common.values import Plan
from thinwire.trainer import regime
from thinwire.trainer.corrections import Correction, Taylor, Trained
from thinwire.trainer.replica import Replica

KEPT, SECRET = 10, 12345


def merged(rounds: int, local_steps: int, delay: int) -> NDArray[np.float64]:
    """x_i += Proj_S(mean of y - y_i), `delay` steps after the models y were sent; nothing else is ever exchanged."""
    local_NP = np.zeros((DEVICES, SIZE))
    sent: list[tuple[int, NDArray[np.float64]]] = []
    for step in range(1, rounds * local_steps + delay + 1):
        local_NP = stepped(local_NP)
        while sent and step - sent[0][0] == delay:
            at, model_NP = sent.pop(0)
            mask_K = drawn(seed_of(SECRET, at // local_steps), KEPT, SIZE)
            local_NP[:, mask_K] += model_NP[:, mask_K].mean(axis=0) - model_NP[:, mask_K]
        if step % local_steps == 0 and step // local_steps <= rounds:
            sent.append((step, local_NP.copy()))
    return local_NP


@pytest.mark.parametrize(("local_steps", "delay"), [(2, 1), (3, 1), (3, 2)])
def test_c6_a_shared_mask_and_keep_is_partial_model_averaging(local_steps: int, delay: int) -> None:
    masked = plan(local_steps=local_steps, density=KEPT / SIZE, residual="keep", selection="mask", mask_seed=SECRET)
    world = played(masked, rules(3), late(delay))
    assert same_rows(working(world), merged(3, local_steps, delay))


def same_rows(found_NP: NDArray[np.float32], wanted_NP: NDArray[np.float64]) -> bool:
    return all(same(found_P, wanted_P) for found_P, wanted_P in zip(found_NP, wanted_NP, strict=True))


class Exact(Taylor):
    """T for a quadratic: each step that was missed would have shrunk the correction by 1 - eta h."""

    curvature_P: NDArray[np.float32]

    def change(self, square_P: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
        return (1 - np.float32(RATE) * self.curvature_P) ** steps - 1


def exact_of(plan: Plan, learner: Trained) -> tuple[Correction, ...]:
    term = Exact(SIZE, 1.0, RATE)
    term.curvature_P = learner.curvature_P  # type: ignore[attr-defined]  # a Quadratic's
    return (term,)


@pytest.mark.parametrize("residual", ["", "keep", "private"])
@pytest.mark.parametrize("density", [1.0, 0.1])
@pytest.mark.parametrize(("local_steps", "delay"), [(2, 1), (3, 1), (3, 2), (2, 2)])
def test_c7_the_exact_taylor_term_gives_the_run_without_delay(
    local_steps: int, delay: int, density: float, residual: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a delay of a whole round: the device takes what has come before it cuts."""
    many = plan(local_steps=local_steps, density=density, residual=residual, taylor=1.0)
    prompt = model(played(replace(many, taylor=0.0, overlap=False), rules(3)))
    plain = model(played(replace(many, taylor=0.0), rules(3), late(delay)))
    monkeypatch.setattr(regime, "corrections_of", exact_of)
    corrected = model(played(many, rules(3), late(delay)))
    assert not np.array_equal(plain, prompt), "without the term, delay shows"
    assert same(corrected, prompt.astype(np.float64))


def test_the_device_side_form_is_the_exponential_of_squared_increments() -> None:
    """Two steps of a gradient g after the cut: T - 1 = exp(-lambda eta 2 g g) - 1, and A grows by it times b."""
    eta, strength = 0.1, 0.5
    replica = Replica(np.zeros(3, np.float32), 1.0)
    replica.corrections = (Taylor(3, strength, eta),)
    replica.rebase_on(np.zeros(3, np.float32), 0, through=0)
    gradient_P = np.array([1.0, -2.0, 0.0], np.float32)

    def step() -> None:
        replica.begin_step()
        replica.working_P -= np.float32(eta) * gradient_P
        replica.end_step()

    step()
    cut = replica.cut(1.0, ValueCode.FP32, steps=1)
    step()
    step()
    commit_P = np.array([0.5, 0.25, -1.0], np.float32)
    replica.advance(0, np.arange(3), commit_P, None, through=1, steps=3)
    b_P = commit_P - cut.quantised.value_K
    wanted_P = -2 * eta * gradient_P + (np.exp(-strength * eta * 2 * gradient_P**2) - 1) * b_P
    assert np.abs(replica.unsent_P - wanted_P).max() < 1e-6
    assert np.abs(replica.working_P - (commit_P + wanted_P)).max() < 1e-6
