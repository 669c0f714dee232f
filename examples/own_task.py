"""A task of one's own, whole: three spiral arms, of which each device has seen but one ring.

coordinator.toml                        agent.toml
[task]                                  [device]
id = "own"                              name = "d0"
params = {hidden = 48}                  shard = 0
[tasks]                                 shards = 4
own = "own_task:OwnTask"                [tasks]
                                        own = "own_task:OwnTask"

export PYTHONPATH=examples
thinwire coordinator --config coordinator.toml
thinwire agent --config agent.toml
thinwire agent --config agent.toml --set device.name=d1 --set device.shard=1
thinwire status
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from thinwire.tasks import DeviceInfo, Task

Batch = tuple[Tensor, Tensor]


class OwnTask(Task):
    def __init__(self, *, hidden: int = 48) -> None:
        self.hidden = hidden

    def model(self) -> nn.Module:
        first, second = nn.Linear(2, self.hidden), nn.Linear(self.hidden, self.hidden)
        return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), nn.Linear(self.hidden, 3))

    def batches(self, device: DeviceInfo) -> Iterator[Batch]:
        draw = torch.Generator().manual_seed(device.seed * 1000 + device.shard)
        while True:
            yield spiral(32, device.shard / device.shards, (device.shard + 1) / device.shards, draw)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        point, arm = batch
        return functional.cross_entropy(model(point), arm)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        point, arm = spiral(1000, 0.0, 1.0, torch.Generator().manual_seed(1))
        with torch.no_grad():
            return {"accuracy": float((model(point).argmax(1) == arm).float().mean())}


def spiral(num: int, inner: float, outer: float, draw: torch.Generator) -> Batch:
    arm = torch.randint(0, 3, (num,), generator=draw)
    radius = inner + (outer - inner) * torch.rand(num, generator=draw)
    angle = 4 * radius + arm * (2 * torch.pi / 3) + 0.1 * torch.randn(num, generator=draw)
    return torch.stack([2 * radius * angle.cos(), 2 * radius * angle.sin()], 1), arm
