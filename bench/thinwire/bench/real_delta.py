"""A delta that somebody really trained: what the codec sees in the field, at the size of a ResNet-18.

ResNet-18 with its 3×3 kernels unrolled to 9 taps along time, and with group norm, 11,174,151 parameters, is trained on
one person's smartwatch recordings as a device would train it: SGD with momentum, a cut after every few steps, at each
cut the residual plus the increments since the last, of which the top 1 % leaves. The last sum before such a selection
is the vector that is measured. (Quick: the same with three eighths of the width, 1.6 million parameters.) P parameters.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from thinwire.common.codec import ValueCode, kept_of, quantise, select
from thinwire.tasks.flat import FlatModel
from thinwire.tasks.task import DeviceInfo
from thinwire.tasks.watch import CLASSES, WatchActivity
from thinwire.trainer.optimizers import optimizer

TAPS = 9
WIDTHS = (64, 128, 256, 512)
QUICK_WIDTHS = (24, 48, 96, 192)
BATCH = 8
CUTS = 3
STEPS = 5
DENSITY = 0.01


class Block(nn.Module):
    """ResNet's basic block, along time."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(inputs, outputs, TAPS, stride), nn.GroupNorm(8, outputs), nn.ReLU(),
            _conv(outputs, outputs, TAPS, 1), nn.GroupNorm(8, outputs),
        )  # fmt: skip
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = nn.Identity()
        if not same:
            self.shortcut = nn.Sequential(_conv(inputs, outputs, 1, stride), nn.GroupNorm(8, outputs))

    def forward(self, input_BCT: Tensor) -> Tensor:
        output_BCT: Tensor = torch.relu(self.body(input_BCT) + self.shortcut(input_BCT))
        return output_BCT


def resnet(widths: tuple[int, ...] = WIDTHS) -> nn.Module:
    """Build the network, two blocks for each width."""
    parts = [_conv(6, widths[0], TAPS, 2), nn.GroupNorm(8, widths[0]), nn.ReLU()]
    inputs = widths[0]
    for stage, outputs in enumerate(widths):
        parts += [Block(inputs, outputs, 1 if stage == 0 else 2), Block(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*parts, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(inputs, len(CLASSES)))


def _conv(inputs: int, outputs: int, taps: int, stride: int) -> nn.Conv1d:
    return nn.Conv1d(inputs, outputs, taps, stride=stride, padding=taps // 2, bias=False)


@functools.cache
def real_delta(quick: bool = False) -> NDArray[np.float32]:
    """Train, and return the residual plus increment (P,) of the last cut, from which the top k would be selected."""
    torch.manual_seed(0)
    task = WatchActivity(batch_size=BATCH)
    flat = FlatModel(resnet(QUICK_WIDTHS if quick else WIDTHS))
    step = optimizer("sgd", flat.weight_P, flat.gradient_P, learning_rate=0.01, momentum=0.9)
    batches = task.batches(DeviceInfo("bench"))
    residual_P = np.zeros(flat.layout.size, np.float32)
    for cut in range(CUTS):
        if cut:
            _send(residual_P)
        start_P = flat.weights.copy()
        for _ in range(STEPS):
            flat.gradient_P.zero_()
            torch.autograd.backward(task.loss(flat.module, next(batches)))
            step.step()
        residual_P += flat.weights - start_P
    return residual_P


def _send(residual_P: NDArray[np.float32]) -> None:
    index_K = select(residual_P, kept_of(DENSITY, residual_P.size))
    residual_P[index_K] -= quantise(residual_P[index_K], ValueCode.LOG3).value_K
