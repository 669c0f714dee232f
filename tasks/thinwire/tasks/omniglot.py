"""Which of 242 handwritten characters is this? Eight alphabets, each drawn by twenty people of its own.

The drawings (`data/omniglot_small.npz`, MIT, the notice beside it) have 28x28 pixels. A writer is one drawer of one
alphabet, 160 in all, and drew each of its characters once. With the partition "natural" a device has whole writers,
dealt in turn; with another, drawings are shared out one by one.

Held out for the test are the drawings with

    (character's place in its alphabet + drawer) % 5 == 0

which is one in five of each writer's (3 to 10), and exactly 4 of each character's 20: whatever is held out of one
device was seen in training, but only from other hands.

A batch is shifted as a whole, by up to `shift` pixels each way, what leaves at one edge coming in at the other: with
13 to 38 drawings of a writer, a model would otherwise know them by heart before it knows the characters.

Shapes: N drawings, B drawings of a batch, C characters, A alphabets, H height, W width.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from thinwire.common.errors import TaskError
from thinwire.tasks.arrays import Array, ArraySpec, read_arrays
from thinwire.tasks.heterogeneity import counts
from thinwire.tasks.images import Standardise
from thinwire.tasks.partition import Shards
from thinwire.tasks.per_device import by_labels, by_owner
from thinwire.tasks.sharing import Labels, Sharing
from thinwire.tasks.supervised import Examples, Pair, batch_seed, check_batch_size
from thinwire.tasks.task import DeviceInfo, Task

DRAWINGS, CHARACTERS, ALPHABETS, DRAWERS = 4840, 242, 8, 20
WRITERS = ALPHABETS * DRAWERS
ONE_IN = 5  # drawings is held out
MOST_SHIFT = 14

FILE = Path(__file__).parent / "data" / "omniglot_small.npz"
SPECS = {
    "image": ArraySpec("uint8", (DRAWINGS, 28, 28), most=4 << 20),
    "character": ArraySpec("int16", (DRAWINGS,)),
    "drawer": ArraySpec("int8", (DRAWINGS,)),
    "alphabet": ArraySpec("int8", (CHARACTERS,)),
    "alphabets": ArraySpec("<U19", (ALPHABETS,)),
}
# Of the training drawings' pixels, as shares of full ink.
MEAN, DEVIATION = 0.0807, 0.2362


@dataclass(frozen=True, slots=True)
class Drawings:
    """Every drawing, whose it is, and whether it is held out."""

    image_NHW: Array
    character_N: Array
    writer_N: Array
    held_out_N: Array
    classes: tuple[str, ...]

    def examples(self, chosen_N: Array) -> Examples:
        """Take the drawings that a mask marks, or an index names."""
        return Examples(
            torch.from_numpy(self.image_NHW[chosen_N][:, None]), torch.from_numpy(self.character_N[chosen_N])
        )


class Omniglot(Task):
    """Recognise the character: a small convolutional network of 66,618 parameters."""

    def __init__(
        self, *, batch_size: int = 20, shift: int = 2, partition: str = "natural", alpha: float = 0.5,
        per_device: int = 2, partition_seed: int = 0,
    ) -> None:  # fmt: skip
        check_batch_size(batch_size)
        if not 0 <= shift <= MOST_SHIFT:
            raise ValueError(f"shift is {shift}; it must be 0 to {MOST_SHIFT} pixels")
        self.batch_size, self.shift = batch_size, shift
        self.sharing = Sharing(partition, alpha, per_device, partition_seed)

    def model(self) -> nn.Module:
        return nn.Sequential(
            Standardise((MEAN,), (DEVIATION,)),
            nn.Conv2d(1, 16, 7, 3, padding=3), nn.GroupNorm(8, 16), nn.ReLU(),
            nn.Conv2d(16, 40, 3, 2, padding=1), nn.GroupNorm(8, 40), nn.ReLU(),
            nn.Flatten(), nn.Linear(40 * 5 * 5, 48), nn.Linear(48, CHARACTERS),
        )  # fmt: skip

    def batches(self, device: DeviceInfo) -> Iterator[Pair]:
        index_N = training()[self._shards(device.shards)[device.shard]]
        seed = batch_seed(device.seed, device.shard)
        batches = drawings().examples(index_N).endless(self.batch_size, seed)
        return shifted(batches, self.shift, seed) if self.shift else batches

    def loss(self, model: nn.Module, batch: Pair) -> Tensor:
        pixel_BCHW, label_B = batch
        return functional.cross_entropy(model(pixel_BCHW), label_B)

    def examples(self, device: DeviceInfo) -> int:
        return len(self._shards(device.shards)[device.shard])

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return held_out().measure(model)

    def evaluate_devices(self, model: nn.Module, shards: int) -> list[float]:
        right_N, every = held_out().right(model), drawings()
        if self.sharing.scheme != "natural":
            return by_labels(right_N, every.character_N[every.held_out_N], counts(self.labels(), self._shards(shards)))
        # Writers are dealt in turn; every one has drawings in both parts.
        return by_owner(right_N, every.writer_N[every.held_out_N] % shards, shards)

    def labels(self) -> Labels:
        """What `thinwire partition` reports on."""
        every, index_N = drawings(), training()
        return Labels(every.character_N[index_N], every.writer_N[index_N], every.classes)

    def _shards(self, shards: int) -> Shards:
        return _cut(self.sharing, shards)


def shifted(batches: Iterator[Pair], most: int, seed: int) -> Iterator[Pair]:
    """Move each batch as a whole by -most to most pixels down and right."""
    draw = torch.Generator().manual_seed(seed)
    for pixel_BCHW, label_B in batches:
        down, right = torch.randint(-most, most + 1, (2,), generator=draw).tolist()
        yield torch.roll(pixel_BCHW, (down, right), (2, 3)), label_B


@functools.lru_cache(maxsize=8)
def _cut(sharing: Sharing, shards: int) -> Shards:
    # Places are among the training drawings.
    return sharing.cut(Omniglot().labels(), shards)


@functools.cache
def training() -> Array:
    """Return the places of the training drawings among all."""
    return np.flatnonzero(~drawings().held_out_N)


@functools.cache
def held_out() -> Examples:
    """Return the test drawings of all writers."""
    return drawings().examples(drawings().held_out_N)


@functools.cache
def drawings() -> Drawings:
    """Read the file that came with the package."""
    return read_drawings(FILE)


def read_drawings(path: Path) -> Drawings:
    """Read the arrays, and hold their contents against each other as well as their shapes."""
    arrays = read_arrays(path, SPECS)
    character_N, drawer_N, alphabet_C = (arrays[name].astype(np.int64) for name in ("character", "drawer", "alphabet"))
    for name, found, low, high in (
        ("character", character_N, 0, CHARACTERS - 1),
        ("drawer", drawer_N, 1, DRAWERS),
        ("alphabet", alphabet_C, 0, ALPHABETS - 1),
    ):
        if found.min() < low or found.max() > high:
            raise TaskError(f"{path}: {name} leaves {low} to {high}")
    if len(np.unique(character_N * DRAWERS + drawer_N)) < DRAWINGS or (np.diff(alphabet_C) < 0).any():
        raise TaskError(f"{path}: not every drawer drew each character of an alphabet once, in order")
    place_C = np.arange(CHARACTERS) - np.searchsorted(alphabet_C, alphabet_C)
    names = arrays["alphabets"][alphabet_C]
    return Drawings(
        image_NHW=arrays["image"],
        character_N=character_N,
        writer_N=alphabet_C[character_N] * DRAWERS + drawer_N - 1,
        held_out_N=(place_C[character_N] + drawer_N) % ONE_IN == 0,
        classes=tuple(f"{name}/{place + 1:02}" for name, place in zip(names, place_C, strict=True)),
    )
