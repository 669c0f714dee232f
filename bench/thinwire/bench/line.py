"""The smallest task: one linear map of any size that learns to be nothing, at any pace. Its model is `model_of`'s."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from thinwire.tasks import DeviceInfo, Task

BATCH = 2


class Line(Task):
    """`outputs` × `inputs` parameters; a step takes `pause_s` and a little."""

    def __init__(self, *, inputs: int = 64, outputs: int = 8, pause_s: float = 0.005) -> None:
        self.inputs, self.outputs, self.pause_s = inputs, outputs, pause_s

    def model(self) -> nn.Module:
        """Without a bias, so that there is one tensor."""
        return nn.Linear(self.inputs, self.outputs, bias=False)

    def batches(self, device: DeviceInfo) -> Iterator[Tensor]:
        """Noise."""
        dice = torch.Generator().manual_seed(device.seed)
        while True:
            time.sleep(self.pause_s)
            yield torch.randn(BATCH, self.inputs, generator=dice)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        """How far from nothing the answer is."""
        answer: Tensor = model(batch)
        return answer.square().mean()
