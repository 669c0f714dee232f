"""How unlike each other the devices of a fleet are: class histograms, label entropy, distance to the whole, sizes.

    entropy    -sum p log2 p of a device's labels, in bits; that of the whole is the most a fair sample has
    distance   total variation, half the sum over classes of |p_device - p_whole|: 0 alike, 1 nothing in common

Shapes: D devices, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinwire.tasks.partition import Shards
from thinwire.tasks.sharing import Labels

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """What a partition comes to."""

    classes: tuple[str, ...]
    count_DC: Counts
    entropy_D: Floats
    distance_D: Floats
    whole_entropy: float

    @property
    def size_D(self) -> Counts:
        """Examples of each device."""
        sizes: Counts = self.count_DC.sum(axis=1)
        return sizes

    def devices(self) -> list[dict[str, object]]:
        """One record a device."""
        columns = (self.size_D, self.entropy_D, self.distance_D, self.count_DC)
        return [
            {
                "device": number,
                "examples": int(size),
                "entropy_bits": float(entropy),
                "distance": float(distance),
                "classes": {name: int(count) for name, count in zip(self.classes, count_C, strict=True)},
            }
            for number, (size, entropy, distance, count_C) in enumerate(zip(*columns, strict=True))
        ]

    def summary(self) -> dict[str, float]:
        """The fleet in a few figures; `imbalance` is the deviation of the sizes over their mean."""
        sizes = self.size_D
        return {
            "devices": len(sizes),
            "examples": int(sizes.sum()),
            "least": int(sizes.min()),
            "median": float(np.median(sizes)),
            "most": int(sizes.max()),
            "imbalance": float(sizes.std() / sizes.mean()),
            "classes_mean": float((self.count_DC > 0).sum(axis=1).mean()),
            "entropy_mean_bits": float(self.entropy_D.mean()),
            "entropy_whole_bits": self.whole_entropy,
            "distance_mean": float(self.distance_D.mean()),
            "distance_most": float(self.distance_D.max()),
        }


def counts(labels: Labels, shards: Shards) -> Counts:
    """How many examples of each class each shard has, (D, C)."""
    label_N, num = np.asarray(labels.label_N), len(labels.classes)
    return np.stack([np.bincount(label_N[index_M], minlength=num) for index_M in shards]).astype(np.int64)


def heterogeneity(labels: Labels, shards: Shards) -> Heterogeneity:
    """Count the labels of each shard and hold them against the whole."""
    count_DC = counts(labels, shards)
    share_DC = count_DC / count_DC.sum(axis=1, keepdims=True)
    whole_C = count_DC.sum(axis=0) / count_DC.sum()
    return Heterogeneity(
        classes=labels.classes,
        count_DC=count_DC,
        entropy_D=_entropy(share_DC),
        distance_D=np.abs(share_DC - whole_C).sum(axis=1) / 2,
        whole_entropy=float(_entropy(whole_C[None])[0]),
    )


def _entropy(share_DC: Floats) -> Floats:
    # Adding 0.0 turns the -0.0 of a device with one class into 0.0.
    bits: Floats = -np.sum(share_DC * np.log2(np.where(share_DC > 0, share_DC, 1.0)), axis=1) + 0.0
    return bits
