"""Built-in tasks on devices of a known pace: every local step is padded to the same time, and its times are noted.

Many trainers share this machine's cores, so what a step takes here says nothing of a device. Padded, the computing that
a training needs is known beforehand: steps * step_s. A step is everything from asking for the batch to the last
gradient; the optimiser's few additions, cutting, packing and taking in of commits come on top, unpadded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.graph import register_multi_grad_hook

from thinwire.tasks.images import MNIST
from thinwire.tasks.supervised import Pair
from thinwire.tasks.task import DeviceInfo
from thinwire.tasks.watch import WatchActivity

TASKS = {"watch": "thinwire.bench.paced:PacedWatch", "mnist": "thinwire.bench.paced:PacedDigits"}


class Pace:
    """Begin and end of each step go to a file in `log`, as two float64 of the system's monotonic clock."""

    def __init__(self, step_s: float, log: str) -> None:
        self._step_s, self._log = step_s, Path(log)
        self._file, self._began, self._hooked = -1, 0.0, False

    def timed(self, batches: Iterator[Pair], device: str) -> Iterator[Pair]:
        """Batches as they come; a step begins when one is asked for."""
        # Unbuffered: a trainer that is told to end writes nothing more.
        self._file = os.open(self._log / device, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        while True:
            self._began = time.monotonic()
            yield next(batches)

    def end_with(self, model: nn.Module) -> None:
        """Have steps end with the last gradient of this model."""
        if not self._hooked:
            self._hooked = True
            register_multi_grad_hook(tuple(model.parameters()), self._pad)

    def _pad(self, gradients: object) -> None:
        left_s = self._began + self._step_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        os.write(self._file, np.array([self._began, time.monotonic()]).tobytes())


class PacedWatch(WatchActivity):
    """Ten people's watches; `thinwire.tasks.watch` has the parameters."""

    def __init__(self, *, step_s: float, log: str, **params: Any) -> None:
        super().__init__(**params)
        self._pace = Pace(step_s, log)

    def batches(self, device: DeviceInfo) -> Iterator[Pair]:
        return self._pace.timed(super().batches(device), device.name)

    def loss(self, model: nn.Module, batch: Pair) -> Tensor:
        self._pace.end_with(model)
        return super().loss(model, batch)


class PacedDigits(MNIST):
    """Handwritten digits; `thinwire.tasks.images` has the parameters."""

    def __init__(self, *, step_s: float, log: str, **params: Any) -> None:
        super().__init__(**params)
        self._pace = Pace(step_s, log)

    def batches(self, device: DeviceInfo) -> Iterator[Pair]:
        return self._pace.timed(super().batches(device), device.name)

    def loss(self, model: nn.Module, batch: Pair) -> Tensor:
        self._pace.end_with(model)
        return super().loss(model, batch)


def steps_of(log: Path, device: str) -> NDArray[np.float64]:
    """Begin and end of each step that a device has taken, seconds; (N, 2)."""
    return np.fromfile(log / device, np.float64).reshape(-1, 2)
