"""Fashion-MNIST, MNIST and CIFAR-10: ten classes of pictures, shared out to the devices.

A device has shard `device.shard` of `device.shards`, cut by the partitioner that `partition` names, the same cut on
every machine. Batches carry pixels as bytes; the model begins by standardising them, so what a device holds is a
quarter of what it would be as float32.

Shapes: N pictures, B pictures of a batch, C channels, H height, W width.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from thinwire.tasks.decode import CLASSES, Bytes
from thinwire.tasks.heterogeneity import counts
from thinwire.tasks.partition import Index, Shards
from thinwire.tasks.per_device import by_labels
from thinwire.tasks.pictures import find
from thinwire.tasks.sharing import Labels, Sharing
from thinwire.tasks.supervised import Examples, Pair, batch_seed, check_batch_size, check_choice
from thinwire.tasks.task import DeviceInfo, Task


class Standardise(nn.Module):
    """Bytes (B, C, H, W) to floats of mean 0 and deviation 1 a channel; constants, no parameters, no buffers."""

    def __init__(self, mean_C: tuple[float, ...], deviation_C: tuple[float, ...]) -> None:
        super().__init__()
        self.mean_C = torch.tensor(mean_C).mul(255).view(-1, 1, 1)
        self.scale_C = torch.tensor(deviation_C).mul(255).reciprocal().view(-1, 1, 1)

    def forward(self, pixel_BCHW: Tensor) -> Tensor:
        return (pixel_BCHW - self.mean_C) * self.scale_C


class _Pictures(Task):
    """What the three have in common; each adds the name of its set and its model."""

    name: str

    def __init__(
        self, *, batch_size: int = 32, partition: str = "iid", alpha: float = 0.5, per_device: int = 2,
        partition_seed: int = 0, test_examples: int = 0,
    ) -> None:  # fmt: skip
        check_batch_size(batch_size)
        if test_examples < 0:
            raise ValueError(f"test_examples is {test_examples}; it must be 1 or more, or 0 for all")
        check_choice("partition", partition, ("iid", "dirichlet", "classes", "quantity"))
        self.batch_size = batch_size
        self.sharing = Sharing(partition, alpha, per_device, partition_seed)
        self.test_examples = test_examples  # the first of the test pictures, which are in no order; 0 is all

    def batches(self, device: DeviceInfo) -> Iterator[Pair]:
        pictures = find(self.name, device.data_dir)
        index_N = self._shard(device)
        examples = _examples(pictures.train_image[index_N], pictures.train_label[index_N])
        return examples.endless(self.batch_size, batch_seed(device.seed, device.shard))

    def loss(self, model: nn.Module, batch: Pair) -> Tensor:
        pixel_BCHW, label_B = batch
        return functional.cross_entropy(model(pixel_BCHW), label_B)

    def examples(self, device: DeviceInfo) -> int:
        return len(self._shard(device))

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return _test_examples(self.name, self.test_examples or None).measure(model)

    def evaluate_devices(self, model: nn.Module, shards: int) -> list[float]:
        test = _test_examples(self.name, self.test_examples or None)
        count_DC = counts(self.labels(), _shards(self.name, None, shards, self.sharing))
        return by_labels(test.right(model), test.label_N.numpy(), count_DC)

    def labels(self) -> Labels:
        """What `thinwire partition` reports on."""
        return _labels(self.name, None)

    def _shard(self, device: DeviceInfo) -> Index:
        return _shards(self.name, device.data_dir, device.shards, self.sharing)[device.shard]


class FashionMNIST(_Pictures):
    """Clothes, grey, 28x28: a convolutional network of 34,026 parameters."""

    name = "fashion-mnist"

    def model(self) -> nn.Module:
        return _grey_model(Standardise((0.28604,), (0.35302,)))


class MNIST(_Pictures):
    """Handwritten digits, grey, 28x28: the same network."""

    name = "mnist"

    def model(self) -> nn.Module:
        return _grey_model(Standardise((0.13066,), (0.30811,)))


class CIFAR10(_Pictures):
    """Photographs, colour, 32x32: a convolutional network of 92,074 parameters.

    `size = "small"` is one of 54,250, which sees them at 16x16: three times as fast.
    """

    name = "cifar10"

    def __init__(
        self, *, size: str = "medium", batch_size: int = 32, partition: str = "iid", alpha: float = 0.5,
        per_device: int = 2, partition_seed: int = 0, test_examples: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(
            batch_size=batch_size, partition=partition, alpha=alpha, per_device=per_device,
            partition_seed=partition_seed, test_examples=test_examples,
        )  # fmt: skip
        check_choice("size", size, ("small", "medium"))
        self.size = size

    def model(self) -> nn.Module:
        standardise = Standardise((0.49140, 0.48216, 0.44653), (0.24703, 0.24349, 0.26159))
        return _small_model(standardise) if self.size == "small" else _medium_model(standardise)


def _medium_model(standardise: Standardise) -> nn.Module:
    return nn.Sequential(
        standardise,
        *_layer(3, 32, kernel=5, stride=2),
        *_layer(32, 64, kernel=3, stride=2),
        *_layer(64, 96, kernel=3, stride=2),
        nn.Flatten(), nn.Linear(96 * 4 * 4, CLASSES),
    )  # fmt: skip


def _small_model(standardise: Standardise) -> nn.Module:
    return nn.Sequential(
        standardise,
        nn.AvgPool2d(2),
        *_layer(3, 32, kernel=5, stride=2),
        *_layer(32, 64, kernel=3, stride=2),
        nn.Flatten(), nn.Linear(64 * 4 * 4, 32), nn.ReLU(), nn.Linear(32, CLASSES),
    )  # fmt: skip


def _grey_model(standardise: Standardise) -> nn.Module:
    return nn.Sequential(
        standardise,
        *_layer(1, 16, kernel=5, stride=2),
        *_layer(16, 32, kernel=3, stride=2),
        *_layer(32, 64, kernel=3, stride=2),
        nn.Flatten(), nn.Linear(64 * 4 * 4, CLASSES),
    )  # fmt: skip


def _layer(channels: int, out: int, *, kernel: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2), nn.GroupNorm(8, out), nn.ReLU()


@functools.lru_cache(maxsize=8)
def _shards(name: str, data_dir: Path | None, shards: int, sharing: Sharing) -> Shards:
    return sharing.cut(_labels(name, data_dir), shards)


def _labels(name: str, data_dir: Path | None) -> Labels:
    return Labels(find(name, data_dir).train_label, None, tuple(map(str, range(CLASSES))))


@functools.lru_cache(maxsize=1)
def _test_examples(name: str, first: int | None) -> Examples:
    pictures = find(name)
    return _examples(pictures.test_image[:first], pictures.test_label[:first])


def _examples(image_NCHW: Bytes, label_N: Bytes) -> Examples:
    # Copies, because torch does not take arrays that nobody may write to, and mapped ones are such.
    return Examples(torch.from_numpy(image_NCHW.copy()), torch.from_numpy(label_N.astype(np.int64)))
