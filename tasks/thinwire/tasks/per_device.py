"""How well one model does for each device, on examples that no device trains on.

Where examples belong to somebody, a device is measured on what was held out of its own. Where they were shared out by
label, nobody's own examples were held out; the test set stands in, each class weighted as the device has it.

Shapes: N examples held out, D devices, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Right = NDArray[np.bool_]
Index = NDArray[np.int64]
Floats = NDArray[np.float64]

WORST = 0.1  # of the devices


def by_owner(right_N: Right, device_N: Index, devices: int) -> list[float]:
    """The accuracy on each device's own examples; each must have some."""
    count_D = np.bincount(device_N, minlength=devices)
    own: list[float] = (np.bincount(device_N, weights=right_N, minlength=devices) / count_D).tolist()
    return own


def by_labels(right_N: Right, label_N: Index, count_DC: NDArray[np.int64]) -> list[float]:
    """The accuracy with each class weighted by a device's examples of it; classes that were not held out count not."""
    held_C = np.bincount(label_N, minlength=count_DC.shape[1])
    accuracy_C = np.bincount(label_N, weights=right_N, minlength=len(held_C)) / np.maximum(held_C, 1)
    weight_DC: Floats = count_DC.astype(np.float64) * (held_C > 0)
    weighted: list[float] = (weight_DC @ accuracy_C / np.maximum(weight_DC.sum(axis=1), 1)).tolist()
    return weighted


def spread(accuracies: Sequence[float]) -> dict[str, float]:
    """What a history keeps of them: the mean over devices, and the mean over the worst tenth (one or more)."""
    if not accuracies:
        return {}
    worst = sorted(accuracies)[: math.ceil(WORST * len(accuracies))]
    return {
        "device_accuracy": sum(accuracies) / len(accuracies),
        "device_accuracy_worst": sum(worst) / len(worst),
    }
