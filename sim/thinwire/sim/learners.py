"""The smallest learners there are: numpy alone, and a truth about each that can be written down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.values import Plan

Vector = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]


class _Plain:
    """What every learner here has: one tensor, no statistics, a learning rate."""

    def __init__(self, start_P: Floats, examples: int) -> None:
        self.layout = Layout((TensorSpec("w", start_P.shape),))
        self.buffer_layout = Layout(())
        self.weights_P: Vector = start_P.astype(np.float32)
        self.examples = examples
        self.learning_rate = np.float32(0.0)

    def prepare(self, plan: Plan) -> None:
        """Take the plan's learning rate; there is no other optimiser here."""
        self.learning_rate = np.float32(plan.learning_rate)

    def damp(self, index_K: NDArray[np.int64]) -> None:
        """There is no momentum."""

    def read_buffers(self) -> Vector:
        """There are none."""
        return np.zeros(0, np.float32)

    def write_buffers(self, buffers_B: Vector) -> None:
        """There are none."""


class Quadratic(_Plain):
    """loss(w) = sum over p of curvature_P / 2 * (w - goal)**2; plain gradient descent from zero."""

    def __init__(self, goal_P: Floats, curvature_P: Floats, start_P: Floats | None = None, examples: int = 1) -> None:
        super().__init__(np.zeros_like(goal_P) if start_P is None else start_P, examples)
        self.goal_P, self.curvature_P = goal_P.astype(np.float32), curvature_P.astype(np.float32)

    def step(self) -> float:
        """One step of gradient descent."""
        # A bowl that a rate is too large for diverges; what is no number any more is refused where deltas are cut.
        with np.errstate(over="ignore", invalid="ignore"):
            miss_P = self.weights_P - self.goal_P
            self.weights_P -= self.learning_rate * self.curvature_P * miss_P
            return float(np.sum(self.curvature_P * miss_P * miss_P)) / 2


class WholeSteps(_Plain):
    """Learns nothing: takes random steps by whole numbers, of which every sum is exact in float32, in any order.

    `born_P` is the sum of its steps; now and then one is `wild` times as large.
    """

    def __init__(self, size: int, seed: int, *, wild: int = 1) -> None:
        super().__init__(np.zeros(size, np.float32), examples=1)
        self.born_P = np.zeros(size)
        self._draw = np.random.default_rng(seed)
        self._wild = wild

    def step(self) -> float:
        """Move every parameter by -3 to 3."""
        scale = self._wild if self._draw.random() < 0.1 else 1
        step_P = scale * self._draw.integers(-3, 4, self.born_P.size)
        self.born_P += step_P
        self.weights_P += step_P.astype(np.float32)
        return 0.0
