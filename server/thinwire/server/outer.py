"""The coordinator's own optimiser: from the update of a buffer to the step of the model.

    m = momentum * m + update;   step = learning_rate * m

In the long run it multiplies a delta by `gain` = learning_rate / (1 - momentum); the devices scale omega by it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


class Outer:
    """SGD with momentum over the updates; plain addition by default."""

    def __init__(self, learning_rate: float, momentum: float) -> None:
        self._learning_rate = np.float32(learning_rate)
        self._momentum = np.float32(momentum)
        self._velocity_P: Vector | None = None
        self.gain = learning_rate / (1.0 - momentum)

    def step(self, update_P: Vector) -> Vector:
        """The step (P,) for an update; may reuse the update's memory."""
        if self._momentum > 0:
            if self._velocity_P is None:
                self._velocity_P = np.zeros_like(update_P)
            self._velocity_P *= self._momentum
            self._velocity_P += update_P
            return self._learning_rate * self._velocity_P
        if self._learning_rate != 1:
            update_P *= self._learning_rate
        return update_P

    def dump(self) -> dict[str, Vector]:
        """What it remembers of earlier updates, by name."""
        return {} if self._velocity_P is None else {"velocity": self._velocity_P}

    def load(self, memory: Mapping[str, Vector]) -> None:
        """Go on from what another one remembered; what this one has no use for is left out."""
        if "velocity" in memory and self._momentum > 0:
            self._velocity_P = memory["velocity"].copy()


def outer_of(choice: Mapping[str, float | str]) -> Outer:
    """The optimiser of these settings."""
    return Outer(float(choice.get("learning_rate", 1.0)), float(choice.get("momentum", 0.0)))
