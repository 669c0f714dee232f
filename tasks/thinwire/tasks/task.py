"""What a user writes to have a model trained on devices: the model, its data and its loss, in one class.

The same object serves in three places, and each uses only its share of it:

| where                    | calls                                  |
| ------------------------ | -------------------------------------- |
| trainer, on a device     | model, batches, loss, examples         |
| evaluator                | model, evaluate                        |
| simulation, benchmark    | all of them, for many devices at once  |

So a constructor must stay cheap and must not read data: read on first use.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor, nn

# Whatever a task's own `batches` yields and its own `loss` takes; nobody else looks inside.
Batch: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """Which device the data is asked for. `shard` of `shards` tells devices of one fleet apart."""

    name: str
    shard: int = 0
    shards: int = 1
    seed: int = 0  # of the order of batches; two runs with one seed see the same batches
    data_dir: Path | None = None  # where this device keeps its own data, if its owner said so

    def __post_init__(self) -> None:
        if self.shards < 1:
            raise ValueError(f"shards is {self.shards}; it must be 1 or more")
        if not 0 <= self.shard < self.shards:
            raise ValueError(f"shard is {self.shard}; of {self.shards} shards, 0 is the first")


class Task(abc.ABC):
    """Subclass this. Keyword arguments of `__init__` become the task's parameters in the settings file."""

    @abc.abstractmethod
    def model(self) -> nn.Module:
        """Build the model, on the CPU, in float32.

        The caller seeds torch first, so initial weights drawn from torch's own generator are reproducible.
        Names, shapes and order of parameters and buffers must be the same at each call and on each device.
        """

    @abc.abstractmethod
    def batches(self, device: DeviceInfo) -> Iterator[Batch]:
        """Yield this device's own batches without end; the same device and seed give the same batches."""

    @abc.abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the batch's mean loss: a scalar to call `backward` on."""

    def examples(self, device: DeviceInfo) -> int:
        """Say how many training examples the device holds: its weight, where devices are weighted by size."""
        return 1

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Measure a model on data that no device trains on; "accuracy" is what targets and plots look for.

        May leave the model in evaluation mode. An empty answer means that this task has no measure.
        """
        return {}

    def evaluate_devices(self, model: nn.Module, shards: int) -> Sequence[float]:
        """Measure a model for each device: its accuracy on examples like that device's own, which none trains on.

        Only a simulation asks, for only it knows all devices. An empty answer means that this task cannot say.
        """
        return ()
