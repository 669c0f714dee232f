"""The watch task on devices of a known pace: every local step is padded to the same time, and its times are noted.

Many trainers share this machine's cores, so what a step takes here says nothing of a device. Padded, the computing that
a training needs is known beforehand: steps * step_s. A step is everything from asking for the batch to the last
gradient; the optimiser's few additions, cutting, packing and taking in of commits come on top, unpadded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.graph import register_multi_grad_hook

from thinwire.tasks.supervised import Pair
from thinwire.tasks.task import DeviceInfo
from thinwire.tasks.watch import WatchActivity

TASK = "thinwire.bench.paced:PacedWatch"


class PacedWatch(WatchActivity):
    """Begin and end of each step go to a file in `log`, as two float64 of the system's monotonic clock."""

    def __init__(self, *, step_s: float, log: str) -> None:
        super().__init__()
        self._step_s, self._log = step_s, Path(log)
        self._file, self._began, self._hooked = -1, 0.0, False

    def batches(self, device: DeviceInfo) -> Iterator[Pair]:
        # Unbuffered: a trainer that is told to end writes nothing more.
        self._file = os.open(self._log / device.name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        stream = super().batches(device)
        while True:
            self._began = time.monotonic()
            yield next(stream)

    def loss(self, model: nn.Module, batch: Pair) -> Tensor:
        if not self._hooked:
            self._hooked = True
            register_multi_grad_hook(tuple(model.parameters()), self._pad)
        return super().loss(model, batch)

    def _pad(self, gradients: object) -> None:
        left_s = self._began + self._step_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        os.write(self._file, np.array([self._began, time.monotonic()]).tobytes())


def steps_of(log: Path, device: str) -> NDArray[np.float64]:
    """Begin and end of each step that a device has taken, seconds; (N, 2)."""
    return np.fromfile(log / device, np.float64).reshape(-1, 2)
