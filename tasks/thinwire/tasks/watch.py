"""Which shoulder exercise is a smartwatch's wearer doing? Ten people, each of them one device.

The recordings (`data/watch_activity.npz`, BSD 3-clause, its notice beside it) are cut into windows of 2 s
that overlap by half. Device `shard` has person `shard % 10 + 1`; beyond ten devices a person has several. With another
`partition` than "natural", all windows of all people are shared out, each to one device.

Each person made 14 recordings: 7 exercises (label 0 to 6), with side 0 and side 1. Held out for the test are

    (subject + label) % 3 == 0  and  side == subject % 2

which is 23 of the 140, two or three of each person and three or four of each exercise: 759 of 4,677 windows.
A recording is never split, so no test window overlaps a training window.

Shapes: R recordings, S samples, N windows, B windows of a batch, C channels, T samples of a window.
"""

from __future__ import annotations

import functools
import itertools
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
from thinwire.tasks.partition import Shards
from thinwire.tasks.per_device import by_labels, by_owner
from thinwire.tasks.sharing import Labels, Sharing
from thinwire.tasks.supervised import Examples, Pair, batch_seed, check_batch_size, check_choice, norm_layer
from thinwire.tasks.task import DeviceInfo, Task

PEOPLE = 10
CLASSES = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
CHANNELS = ("ax", "ay", "az", "wx", "wy", "wz")
WINDOW = 100  # samples: 2 s at 50 Hz
STEP = 50  # samples from one window's start to the next

# Mean and deviation of each channel over the samples of the training recordings. They are fixed here, not
# computed at start, because a device sees one person only and all devices must scale alike.
MEAN_C = np.array((0.0121, 0.3809, -0.1482, 0.0260, -0.0015, 0.0147), np.float32)
DEVIATION_C = np.array((0.9011, 0.4962, 0.5404, 0.9686, 2.5095, 1.0392), np.float32)

FILE = Path(__file__).parent / "data" / "watch_activity.npz"
SPECS = {
    "samples": ArraySpec("int16", (None, 6), most=6 << 20),
    "scale": ArraySpec("float32", (6,)),
    "offsets": ArraySpec("int64", (141,)),
    "label": ArraySpec("int8", (140,)),
    "subject": ArraySpec("int8", (140,)),
    "side": ArraySpec("int8", (140,)),
    "channels": ArraySpec("<U2", (6,)),
    "classes": ArraySpec("<U4", (7,)),
}


@dataclass(frozen=True, slots=True)
class Windows:
    """Every window of the set, and what the split needs to know about it."""

    input_NCT: Array
    label_N: Array
    subject_N: Array
    recording_N: Array
    held_out_N: Array

    def examples(self, chosen_N: Array) -> Examples:
        """Take the windows that a mask marks, or an index names."""
        return Examples(torch.from_numpy(self.input_NCT[chosen_N]), torch.from_numpy(self.label_N[chosen_N]))


class WatchActivity(Task):
    """Recognise the exercise: a small 1-D convolutional network of 27,031 parameters."""

    def __init__(
        self, *, batch_size: int = 20, norm: str = "group", partition: str = "natural", alpha: float = 0.5,
        per_device: int = 2, partition_seed: int = 0,
    ) -> None:  # fmt: skip
        check_batch_size(batch_size)
        check_choice("norm", norm, ("group", "batch"))
        self.batch_size = batch_size
        self.norm = norm
        self.sharing = Sharing(partition, alpha, per_device, partition_seed)

    def model(self) -> nn.Module:
        return nn.Sequential(
            FramedConv(6, 48, frame=10, stride=5),
            norm_layer(self.norm, 48),
            nn.ReLU(),
            FramedConv(48, 64, frame=7, stride=2),
            norm_layer(self.norm, 64),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Linear(32, len(CLASSES)),
        )

    def batches(self, device: DeviceInfo) -> Iterator[Pair]:
        return self._examples(device).endless(self.batch_size, batch_seed(device.seed, device.shard))

    def loss(self, model: nn.Module, batch: Pair) -> Tensor:
        input_BCT, label_B = batch
        return functional.cross_entropy(model(input_BCT), label_B)

    def examples(self, device: DeviceInfo) -> int:
        return len(self._examples(device))

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return held_out().measure(model)

    def evaluate_devices(self, model: nn.Module, shards: int) -> list[float]:
        right_N, cut = held_out().right(model), windows()
        if self.sharing.scheme != "natural":
            return by_labels(right_N, cut.label_N[cut.held_out_N], counts(self.labels(), _shards(self.sharing, shards)))
        people = by_owner(right_N, cut.subject_N[cut.held_out_N] - 1, PEOPLE)
        return [people[shard % PEOPLE] for shard in range(shards)]

    def labels(self) -> Labels:
        """What `thinwire partition` reports on."""
        cut, training = windows(), training_windows()
        return Labels(cut.label_N[training], cut.subject_N[training], CLASSES, one_owner_each=True)

    def _examples(self, device: DeviceInfo) -> Examples:
        if self.sharing.scheme == "natural":
            return person(device.shard)
        return windows().examples(training_windows()[_shards(self.sharing, device.shards)[device.shard]])


class FramedConv(nn.Module):
    """A 1-D convolution as one matrix product over frames of the signal.

    With 20 windows a step takes half the time it takes with `nn.Conv1d`, which costs more to set up than to run.
    """

    def __init__(self, channels: int, out: int, *, frame: int, stride: int) -> None:
        super().__init__()
        self.frame, self.stride = frame, stride
        self.mix = nn.Linear(channels * frame, out)

    def forward(self, signal_BCT: Tensor) -> Tensor:
        frame_BCNF = signal_BCT.unfold(2, self.frame, self.stride)
        mixed_BNC: Tensor = self.mix(frame_BCNF.transpose(1, 2).flatten(2))
        return mixed_BNC.transpose(1, 2)


def person(shard: int) -> Examples:
    """Return the training windows of the person who wears device `shard`."""
    return _windows_of(shard % PEOPLE + 1)


@functools.lru_cache(maxsize=PEOPLE)
def _windows_of(subject: int) -> Examples:
    # Kept, for a simulation has hundreds of devices for each person.
    cut = windows()
    return cut.examples((cut.subject_N == subject) & ~cut.held_out_N)


@functools.lru_cache(maxsize=8)
def _shards(sharing: Sharing, devices: int) -> Shards:
    """Share the training windows out; places are among the training windows."""
    return sharing.cut(WatchActivity().labels(), devices)


@functools.cache
def training_windows() -> Array:
    """Return the places of the training windows among all."""
    return np.flatnonzero(~windows().held_out_N)


@functools.cache
def held_out() -> Examples:
    """Return the test windows of all people."""
    cut = windows()
    return cut.examples(cut.held_out_N)


@functools.cache
def windows() -> Windows:
    """Read the file that came with the package and cut it."""
    return cut_windows(read_recordings(FILE))


def read_recordings(path: Path) -> dict[str, Array]:
    """Read the arrays, and hold their contents against each other as well as their shapes."""
    arrays = read_arrays(path, SPECS)
    offsets = arrays["offsets"]
    if offsets[0] != 0 or offsets[-1] != len(arrays["samples"]) or np.diff(offsets).min() < WINDOW:
        raise TaskError(f"{path}: the bounds of the recordings do not cover the samples in order")
    for name, low, high in (("label", 0, len(CLASSES) - 1), ("subject", 1, PEOPLE), ("side", 0, 1)):
        if arrays[name].min() < low or arrays[name].max() > high:
            raise TaskError(f"{path}: {name} leaves {low} to {high}")
    if tuple(arrays["classes"]) != CLASSES or tuple(arrays["channels"]) != CHANNELS:
        raise TaskError(f"{path}: other classes or channels than {CLASSES} and {CHANNELS}")
    return arrays


def cut_windows(recordings: dict[str, Array]) -> Windows:
    """Cut each recording from its start; what is left at its end and fills no window is not used."""
    offsets = recordings["offsets"]
    start_N = np.concatenate([np.arange(begin, end - WINDOW + 1, STEP) for begin, end in itertools.pairwise(offsets)])
    recording_N = np.searchsorted(offsets, start_N, side="right") - 1
    label_R, subject_R, side_R = (recordings[name].astype(np.int64) for name in ("label", "subject", "side"))
    held_out_R = ((subject_R + label_R) % 3 == 0) & (side_R == subject_R % 2)
    return Windows(
        input_NCT=_standardised(recordings)[start_N[:, None] + np.arange(WINDOW)].transpose(0, 2, 1).copy(),
        label_N=label_R[recording_N],
        subject_N=subject_R[recording_N],
        recording_N=recording_N,
        held_out_N=held_out_R[recording_N],
    )


def _standardised(recordings: dict[str, Array]) -> Array:
    sample_SC = recordings["samples"] * recordings["scale"]
    standard_SC: Array = (sample_SC - MEAN_C) / DEVIATION_C
    return standard_SC
