"""The coordinator's own optimiser: from the update of a buffer to the step of the model.

In the long run a linear optimiser multiplies a delta by `gain`; the devices scale omega by it, so that own pending work
counts in the model they train as it will in the one that is published. Adam and Yogi scale each coordinate by its own
history; they have no one gain, and 1 stands for it.

Each dumps and loads its memory as float32 arrays by name. P parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


class Outer(Protocol):
    """One optimiser, with its memory."""

    gain: float

    def step(self, update_P: Vector) -> Vector:
        """The step (P,) for an update; may reuse the update's memory."""

    def dump(self) -> dict[str, Vector]:
        """All that the next step depends on, by name."""

    def load(self, memory: Mapping[str, Vector]) -> None:
        """Go on from what another one remembered; what this one has no use for is left out."""


class _Remembering:
    """Named vectors, each made when it is first needed."""

    names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._held: dict[str, Vector] = {}

    def dump(self) -> dict[str, Vector]:
        """All that the next step depends on, by name."""
        # In one order, whichever was needed first: dumps of the same memory are the same.
        return {name: self._held[name].copy() for name in self.names if name in self._held}

    def load(self, memory: Mapping[str, Vector]) -> None:
        """Go on from what another one remembered; what this one has no use for is left out."""
        self._held = {name: np.array(memory[name], np.float32) for name in self.names if name in memory}

    def _of(self, name: str, like_P: Vector, first: float = 0.0) -> Vector:
        if name not in self._held:
            self._held[name] = np.full_like(like_P, first)
        return self._held[name]


class Sgd(_Remembering):
    """m = momentum * m + update;  step = learning_rate * m.  Plain addition by default."""

    names = ("velocity",)

    def __init__(self, learning_rate: float, momentum: float) -> None:
        super().__init__()
        self._learning_rate, self._momentum = np.float32(learning_rate), np.float32(momentum)
        self.gain = learning_rate / (1.0 - momentum)

    def step(self, update_P: Vector) -> Vector:
        """The step (P,) for an update; may reuse the update's memory."""
        if self._momentum > 0:
            velocity_P = self._of("velocity", update_P)
            velocity_P *= self._momentum
            velocity_P += update_P
            return self._learning_rate * velocity_P
        if self._learning_rate != 1:
            update_P *= self._learning_rate
        return update_P


class Nesterov(_Remembering):
    """step = learning_rate * update; every n-th time m = momentum * m + the last n updates, and the step gains
    learning_rate * momentum * m.

    With n = 1 Nesterov's momentum, with n > 1 delayed Nesterov (Liu et al., arXiv 2401.09135), which keeps momentum
    from multiplying what asynchronous devices send one after another.
    """

    names = ("velocity", "sum", "updates")

    def __init__(self, learning_rate: float, momentum: float, every: int) -> None:
        super().__init__()
        self._learning_rate, self._momentum, self._every = np.float32(learning_rate), np.float32(momentum), every
        self.gain = learning_rate / (1.0 - momentum)

    def step(self, update_P: Vector) -> Vector:
        """The step (P,) for an update; may reuse the update's memory."""
        sum_P, velocity_P = self._of("sum", update_P), self._of("velocity", update_P)
        updates = self._held.setdefault("updates", np.zeros(1, np.float32))
        sum_P += update_P
        updates += 1
        if updates[0] >= self._every:
            velocity_P *= self._momentum
            velocity_P += sum_P
            update_P += self._momentum * velocity_P
            sum_P.fill(0.0)
            updates.fill(0.0)
        update_P *= self._learning_rate
        return update_P


class Adaptive(_Remembering):
    """FedAdam and FedYogi (Reddi et al., ICLR 2021): m = beta1 m + (1 - beta1) u;  step = lr * m / (sqrt(v) + tau).

    adam   v = beta2 v + (1 - beta2) u u
    yogi   v = v - (1 - beta2) u u sign(v - u u)

    v begins at tau * tau, and there is no correction of the bias, as in the paper.
    """

    names = ("mean", "square")
    gain = 1.0

    def __init__(self, learning_rate: float, beta1: float, beta2: float, tau: float, *, yogi: bool) -> None:
        super().__init__()
        self._learning_rate, self._beta1 = np.float32(learning_rate), np.float32(beta1)
        self._beta2, self._tau, self._yogi = np.float32(beta2), np.float32(tau), yogi

    def step(self, update_P: Vector) -> Vector:
        """The step (P,) for an update; may reuse the update's memory."""
        mean_P, square_P = self._of("mean", update_P), self._of("square", update_P, float(self._tau) ** 2)
        mean_P *= self._beta1
        mean_P += (np.float32(1.0) - self._beta1) * update_P
        new_P = update_P * update_P
        if self._yogi:
            square_P -= (np.float32(1.0) - self._beta2) * new_P * np.sign(square_P - new_P)
        else:
            square_P *= self._beta2
            square_P += (np.float32(1.0) - self._beta2) * new_P
        np.sqrt(square_P, out=new_P)
        new_P += self._tau
        np.divide(mean_P, new_P, out=new_P)
        new_P *= self._learning_rate
        return new_P


def outer_of(choice: Mapping[str, float | str]) -> Outer:
    """The optimiser of these settings, without any memory yet; what is not set is as in plain addition."""
    name = choice.get("name", "sgd")
    rate, momentum = _number(choice, "learning_rate", 1.0), _number(choice, "momentum", 0.0)
    if name in ("adam", "yogi"):
        beta2, tau = _number(choice, "beta2", 0.99), _number(choice, "tau", 1e-3)
        return Adaptive(rate, momentum, beta2, tau, yogi=name == "yogi")
    if name == "nesterov":
        return Nesterov(rate, momentum, int(_number(choice, "every", 1)))
    return Sgd(rate, momentum)


def _number(choice: Mapping[str, float | str], key: str, usual: float) -> float:
    return float(choice.get(key, usual))
