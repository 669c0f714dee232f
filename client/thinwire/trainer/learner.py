"""A task of torch as a course takes it: one model, one device's batches, one optimiser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thinwire.common.values import Plan
from thinwire.tasks import DeviceInfo, Task
from thinwire.tasks.flat import FlatModel
from thinwire.trainer.optimizers import Optimizer, optimizer

Vector = NDArray[np.float32]


class TaskLearner:
    """`task` on `device`; who wants its first weights reproducible seeds torch before."""

    def __init__(self, task: Task, device: DeviceInfo) -> None:
        self._task = task
        self.model = FlatModel(task.model())
        self.model.module.train()
        self.layout, self.buffer_layout = self.model.layout, self.model.buffer_layout
        self.weights_P: Vector = self.model.weights
        self.examples = task.examples(device)
        self._batches: Iterator[Any] = iter(task.batches(device))
        self._optimizer: Optimizer | None = None

    def prepare(self, plan: Plan) -> None:
        """Step by this plan's optimiser from now on."""
        model = self.model
        self._optimizer = optimizer(
            plan.optimizer, model.weight_P, model.gradient_P, plan.learning_rate, plan.momentum
        )

    def step(self) -> float:
        """Move the weights by one optimiser step on the next batch; give its loss."""
        assert self._optimizer is not None
        self.model.gradient_P.zero_()
        loss = self._task.loss(self.model.module, next(self._batches))
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        self._optimizer.step()
        return float(loss.detach())

    def damp(self, index_K: NDArray[np.int64]) -> None:
        """Clear the optimiser's momentum at these coordinates (K,)."""
        if self._optimizer is not None:
            self._optimizer.damp(torch.from_numpy(index_K))

    def read_buffers(self) -> Vector:
        """A copy of the float buffers (B,)."""
        return self.model.read_buffers()

    def write_buffers(self, buffers_B: Vector) -> None:
        """Set the float buffers from (B,)."""
        self.model.write_buffers(buffers_B)
