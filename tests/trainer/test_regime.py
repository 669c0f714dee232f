"""A plan put in force: what is made anew keeps no memory, so only what changed is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from thinwire.common.errors import TaskError
from thinwire.common.values import Plan
from thinwire.trainer.regime import Regime
from thinwire.trainer.replica import Replica

PLAN = Plan(drift=0.5, momentum=0.9)


class Learner:
    """Counts how often it was given an optimiser."""

    def __init__(self) -> None:
        self.weights_P = np.zeros(4, np.float32)
        self.prepared = 0

    def prepare(self, plan: Plan) -> None:
        self.prepared += 1

    def damp(self, index_K: NDArray[np.int64]) -> None:
        pass


@pytest.fixture
def learner() -> Learner:
    return Learner()


@pytest.fixture
def replica(learner: Learner) -> Replica:
    return Replica(learner.weights_P, 1.0)


@pytest.fixture
def regime(learner: Learner, replica: Replica) -> Regime:
    regime = Regime(learner, replica)
    regime.follow(PLAN)
    return regime


def test_a_new_rate_costs_neither_momentum_nor_what_a_correction_has_learned(
    regime: Regime, learner: Learner, replica: Replica
) -> None:
    corrections = replica.corrections
    regime.follow(replace(PLAN, density=0.5, window=1, omega=1.0))
    assert learner.prepared == 1
    assert replica.corrections is corrections


@pytest.mark.parametrize("change", [{"optimizer": "adam"}, {"learning_rate": 0.5}, {"momentum": 0.0}])
def test_another_optimiser_is_made_anew(regime: Regime, learner: Learner, change: dict[str, Any]) -> None:
    regime.follow(replace(PLAN, **change))
    assert learner.prepared == 2


def test_other_corrections_are_made_anew_or_gone(regime: Regime, replica: Replica) -> None:
    corrections = replica.corrections
    regime.follow(replace(PLAN, drift=0.25))
    assert replica.corrections != corrections
    regime.follow(replace(PLAN, drift=0.0))
    assert replica.corrections == ()


def test_what_is_compared_with_is_the_last_plan_not_the_first(regime: Regime, learner: Learner) -> None:
    for rate in (0.5, PLAN.learning_rate):
        regime.follow(replace(PLAN, learning_rate=rate))
    assert learner.prepared == 3


def test_how_the_rest_is_treated_and_what_is_chosen_follow_at_once(regime: Regime, replica: Replica) -> None:
    regime.follow(replace(PLAN, residual="keep", selection="mask", mask_seed=7))
    assert (replica.residual, replica.mask_secret) == ("keep", 7)
    regime.follow(replace(PLAN, mask_seed=7))
    assert (replica.residual, replica.mask_secret) == ("", None)


def test_a_plan_with_an_unknown_word_changes_nothing(regime: Regime, learner: Learner, replica: Replica) -> None:
    with pytest.raises(TaskError, match="merge 'sideways'"):
        regime.follow(replace(PLAN, merge="sideways", learning_rate=0.5, residual="keep"))
    assert (learner.prepared, replica.residual) == (1, "")
