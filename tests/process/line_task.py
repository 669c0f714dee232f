"""A task for tests, on the PYTHONPATH of the agents here: one linear map, random data, as slow as wanted."""

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from thinwire.tasks import DeviceInfo, Task


class Line(Task):
    """Learn that everything is nothing."""

    def __init__(self, *, inputs: int = 64, outputs: int = 8, pause_s: float = 0.005) -> None:
        self.inputs, self.outputs, self.pause_s = inputs, outputs, pause_s

    def model(self) -> nn.Module:
        return nn.Linear(self.inputs, self.outputs, bias=False)

    def batches(self, device: DeviceInfo) -> Iterator[Tensor]:
        dice = torch.Generator().manual_seed(device.seed)
        while True:
            time.sleep(self.pause_s)
            yield torch.randn(2, self.inputs, generator=dice)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return model(batch).square().mean()
