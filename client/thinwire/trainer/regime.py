"""The plan in force: what it makes of a learner and its replica, and what a new plan must leave alone.

An optimiser and corrections have memories. Only a plan that changes what they are has them made anew; another rate,
which a policy may tell a device every few minutes, costs no momentum.
"""

from __future__ import annotations

import math
from typing import Protocol

from thinwire.common.errors import TaskError
from thinwire.common.values import Plan
from thinwire.trainer.corrections import Trained, corrections_of
from thinwire.trainer.replica import Replica

KNOWN_WORDS = {
    "residual": ("keep", "private"), "merge": ("mix",), "selection": ("mask",), "waits_for": ("outcome",),
    "rebase": ("at-cut",), "optimizer": ("sgd", "adam"), "values": ("log3", "fp16", "fp32"),
}  # fmt: skip
_AT_MOST_ONE = ("density", "omega", "momentum", "drift", "drift_memory", "mix")
_ABOVE_ZERO = ("density", "local_steps", "window", "learning_rate", "server_gain", "max_delta_bytes")
_FIGURES = (*_AT_MOST_ONE, *_ABOVE_ZERO, "taylor", "proximal")


class Prepared(Trained, Protocol):
    """What a plan is told of a learner."""

    def prepare(self, plan: Plan) -> None:
        """Step by this plan's optimiser from now on."""


class Regime:
    """How one learner and its replica are run, by one plan after another."""

    def __init__(self, learner: Prepared, replica: Replica) -> None:
        self._learner, self._replica = learner, replica
        self._optimizer: tuple[object, ...] = ()
        self._corrections: tuple[object, ...] = ()

    def follow(self, plan: Plan) -> None:
        """Put a plan in force, but for omega; raise TaskError for an unknown word or an impossible figure."""
        _demand_known(plan)
        _demand_possible(plan)
        if (optimizer := _optimizer_of(plan)) != self._optimizer:
            self._optimizer = optimizer
            self._learner.prepare(plan)
        if (corrections := _corrections_of(plan)) != self._corrections:
            self._corrections = corrections
            self._replica.corrections = corrections_of(plan, self._learner)
        self._replica.residual = plan.residual
        self._replica.mask_secret = plan.mask_seed if plan.selection == "mask" else None


def omega_of(plan: Plan) -> float:
    """The weight of own pending work in the working model."""
    # What is mixed is the model as it is, own work in full.
    return 1.0 if plan.merge == "mix" else plan.omega * plan.server_gain


def _optimizer_of(plan: Plan) -> tuple[object, ...]:
    return plan.optimizer, plan.learning_rate, plan.momentum


def _corrections_of(plan: Plan) -> tuple[object, ...]:
    strengths = plan.taylor, plan.drift, plan.drift_memory, plan.mix, plan.proximal
    return *strengths, plan.merge, plan.mask_momentum, plan.learning_rate, bool(plan.drift) and plan.local_steps


def _demand_known(plan: Plan) -> None:
    for name, known in KNOWN_WORDS.items():
        word = getattr(plan, name)
        if word and word not in known:
            raise TaskError(
                f"the coordinator's plan has {name} {word!r}; this trainer knows only {', '.join(known)}: "
                "install the coordinator's version of thinwire on this device"
            )


def _demand_possible(plan: Plan) -> None:
    for name in _FIGURES:
        figure, most = getattr(plan, name), 1.0 if name in _AT_MOST_ONE else math.inf
        # What is not a number is within nothing.
        if not (0 <= figure <= most and math.isfinite(figure)) or (figure == 0 and name in _ABOVE_ZERO):
            raise TaskError(
                f"the coordinator's plan has {name} {figure}, with which nobody can train: "
                "install the coordinator's version of thinwire on this device, or look what is wrong there"
            )
