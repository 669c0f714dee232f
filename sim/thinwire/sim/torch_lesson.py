"""A real task, learned by a whole fleet on one torch module.

Shapes: P parameters, B non-trainable statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thinwire.common.values import Plan
from thinwire.sim.memory import refuse_too_large
from thinwire.sim.own_code import Blame
from thinwire.tasks import DeviceInfo, load_task
from thinwire.tasks.flat import FlatModel
from thinwire.tasks.per_device import spread
from thinwire.trainer.optimizers import Optimizer, optimizer

Vector = NDArray[np.float32]
# How the seeds of devices' batches follow from a run's seed; the demo's agents have the same.
DEVICE_SEEDS = 1000


class TorchLesson:
    """The task, its one model and its data; torch computes in one thread, so that sums never differ."""

    def __init__(self, path: str, params: Mapping[str, object], devices: int, seed: int) -> None:
        torch.set_num_threads(1)
        self._path = path
        with self.blame("its constructor"):
            self.task = load_task(path, params)
        torch.manual_seed(seed)
        with self.blame("model"):
            self.model = FlatModel(self.task.model())
        refuse_too_large(devices, self.model.layout.size)
        self.model.module.train()
        self.first_P, self.first_buffers_B = self.model.weights.copy(), self.model.read_buffers()
        self._devices, self._seed = devices, seed

    def learner(self, number: int) -> SharedLearner:
        """A learner of device `number`, whose data is shard `number`."""
        seed = self._seed * DEVICE_SEEDS + number
        return SharedLearner(self, DeviceInfo(f"device-{number}", number, self._devices, seed))

    def blame(self, doing: str) -> Blame:
        """Whose fault it is when that fails."""
        return Blame(self._path, self._path.partition(":")[0], doing)

    def measure(self, weights_P: Vector, buffers_B: Vector) -> dict[str, float]:
        """What the task's own `evaluate` says, and how the devices fare."""
        self.model.weights[:] = weights_P
        self.model.write_buffers(buffers_B)
        self.model.module.eval()
        with torch.no_grad(), self.blame("evaluate"):
            metrics = self.task.evaluate(self.model.module)
            metrics |= spread(self.task.evaluate_devices(self.model.module, self._devices))
            found = {name: float(figure) for name, figure in metrics.items()}
        self.model.module.train()
        return found


class SharedLearner:
    """One device's vectors and place in its data."""

    def __init__(self, lesson: TorchLesson, device: DeviceInfo) -> None:
        self._lesson, self._device = lesson, device
        self.layout, self.buffer_layout = lesson.model.layout, lesson.model.buffer_layout
        self.weights_P: Vector = lesson.first_P.copy()
        with lesson.blame("examples"):
            self.examples = lesson.task.examples(device)
        self._batching, self._losing = lesson.blame("batches"), lesson.blame("loss")
        self._weight_P = torch.from_numpy(self.weights_P)
        self._buffers_B = lesson.first_buffers_B
        self._batches: Iterator[Any] | None = None
        self._optimizer: Optimizer | None = None

    def prepare(self, plan: Plan) -> None:
        """Step by this plan's optimiser from now on."""
        self._optimizer = optimizer(
            plan.optimizer, self._weight_P, self._lesson.model.gradient_P, plan.learning_rate, plan.momentum
        )

    def step(self) -> float:
        """Move the weights by one optimiser step on the next batch; give its loss."""
        assert self._optimizer is not None
        with self._batching:
            if self._batches is None:
                self._batches = iter(self._lesson.task.batches(self._device))
            batch = next(self._batches)
        model = self._lesson.model
        model.weight_P.copy_(self._weight_P)
        model.write_buffers(self._buffers_B)
        model.gradient_P.zero_()
        with self._losing:
            loss = self._lesson.task.loss(model.module, batch)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        self._optimizer.step()
        self._buffers_B = model.read_buffers()
        return float(loss.detach())

    def damp(self, index_K: NDArray[np.int64]) -> None:
        """Clear the optimiser's momentum at these coordinates (K,)."""
        if self._optimizer is not None:
            self._optimizer.damp(torch.from_numpy(index_K))

    def read_buffers(self) -> Vector:
        """A copy of the float buffers (B,)."""
        return self._buffers_B.copy()

    def write_buffers(self, buffers_B: Vector) -> None:
        """Set the float buffers from (B,)."""
        self._buffers_B = buffers_B.copy()
