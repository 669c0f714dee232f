"""The coordinator's optimisers against the papers' own lines in float64, and over a restart."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from thinwire.server.outer import outer_of

SIZE, UPDATES = 50, 23
UPDATE_UP = np.random.default_rng(4).normal(scale=0.1, size=(UPDATES, SIZE)).astype(np.float32)
Steps = Iterator[NDArray[np.float64]]
Choice = dict[str, float | str]


def momentum() -> Steps:
    velocity_P = np.zeros(SIZE)
    for update_P in UPDATE_UP:
        velocity_P = 0.9 * velocity_P + update_P
        yield 0.1 * velocity_P


def delayed_nesterov() -> Steps:
    """Liu et al., algorithm of delayed Nesterov with c = 0; its gradients / n are our updates."""
    velocity_P, gathered_P = np.zeros(SIZE), np.zeros(SIZE)
    for number, update_P in enumerate(UPDATE_UP, start=1):
        gathered_P = gathered_P + update_P
        if number % 5:
            yield 0.7 * update_P
            continue
        velocity_P, gathered_P = 0.9 * velocity_P + gathered_P, np.zeros(SIZE)
        yield 0.7 * (0.9 * velocity_P + update_P)


def nesterov() -> Steps:
    """torch.optim.SGD(nesterov=True), on minus the update as gradient."""
    velocity_P = np.zeros(SIZE)
    for update_P in UPDATE_UP:
        velocity_P = 0.9 * velocity_P + update_P
        yield 0.7 * (update_P + 0.9 * velocity_P)


def adaptive(yogi: bool) -> Steps:
    """Reddi et al., algorithm 2."""
    mean_P, square_P = np.zeros(SIZE), np.full(SIZE, 1e-6)
    for update_P in UPDATE_UP.astype(np.float64):
        mean_P = 0.9 * mean_P + 0.1 * update_P
        if yogi:
            square_P = square_P - 0.01 * update_P**2 * np.sign(square_P - update_P**2)
        else:
            square_P = 0.99 * square_P + 0.01 * update_P**2
        yield 0.03 * mean_P / (np.sqrt(square_P) + 1e-3)


ADAPTIVE: Choice = {"learning_rate": 0.03, "momentum": 0.9, "beta2": 0.99, "tau": 1e-3}
OPTIMISERS: dict[str, tuple[Choice, Callable[[], Steps]]] = {
    "sgd": ({"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}, momentum),
    "nesterov": ({"name": "nesterov", "learning_rate": 0.7, "momentum": 0.9}, nesterov),
    "delayed nesterov": ({"name": "nesterov", "learning_rate": 0.7, "momentum": 0.9, "every": 5}, delayed_nesterov),
    "adam": ({"name": "adam", **ADAPTIVE}, lambda: adaptive(False)),
    "yogi": ({"name": "yogi", **ADAPTIVE}, lambda: adaptive(True)),
}


@pytest.mark.parametrize(("choice", "reference"), OPTIMISERS.values(), ids=OPTIMISERS.keys())
def test_each_step_is_that_of_the_paper(choice: Choice, reference: Callable[[], Steps]) -> None:
    outer = outer_of(choice)
    for update_P, wanted_P in zip(UPDATE_UP, reference(), strict=True):
        assert np.abs(outer.step(update_P.copy()) - wanted_P).max() < 2e-6 * np.abs(wanted_P).max()


@pytest.mark.parametrize("choice", [choice for choice, _ in OPTIMISERS.values()], ids=OPTIMISERS.keys())
def test_after_a_restart_the_next_step_is_the_same_bit_for_bit(choice: Choice) -> None:
    whole, first, second = outer_of(choice), outer_of(choice), outer_of(choice)
    wanted = [whole.step(update_P.copy()) for update_P in UPDATE_UP]
    for update_P in UPDATE_UP[:12]:
        first.step(update_P.copy())
    memory = first.dump()
    assert all(vector.dtype == np.float32 for vector in memory.values())
    second.load(memory)
    first.step(UPDATE_UP[12].copy())  # what was dumped is a copy
    for update_P, wanted_P in zip(UPDATE_UP[12:], wanted[12:], strict=True):
        assert np.array_equal(second.step(update_P.copy()), wanted_P)


@pytest.mark.parametrize("name", ["sgd", "nesterov", "delayed nesterov"])
def test_the_gain_is_what_a_steady_update_becomes(name: str) -> None:
    outer = outer_of(OPTIMISERS[name][0])
    steps = [float(outer.step(np.ones(1, np.float32))[0]) for _ in range(1000)]
    assert np.mean(steps[-500:]) == pytest.approx(outer.gain, rel=1e-4)


def test_another_optimisers_memory_is_left_out() -> None:
    sgd, adam = outer_of(OPTIMISERS["sgd"][0]), outer_of(OPTIMISERS["adam"][0])
    sgd.step(UPDATE_UP[0].copy())
    adam.load(sgd.dump())
    assert adam.dump() == {}
