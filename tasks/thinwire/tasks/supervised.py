"""Labelled examples in memory: endless shuffled batches of them, and how well a model does on them.

Shapes: N examples, B examples of one batch, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Pair = tuple[Tensor, Tensor]  # inputs and labels of one batch

EVALUATION_BATCH = 1000  # bounds the activations' memory; results do not depend on it


@dataclass(frozen=True, slots=True)
class Examples:
    """Inputs, ready for the model, and their labels; the first axis of both counts examples."""

    input_N: Tensor
    label_N: Tensor

    def __len__(self) -> int:
        return len(self.label_N)

    def endless(self, batch_size: int, seed: int) -> Iterator[Pair]:
        """Yield batches of one size for ever, shuffled anew in each pass; each leaves its remainder out."""
        draw = torch.Generator().manual_seed(seed)
        full = max(1, len(self) // batch_size) * batch_size
        while True:
            order_N = torch.randperm(len(self), generator=draw)
            for index_B in torch.split(order_N[:full], batch_size):
                yield self.input_N[index_B], self.label_N[index_B]

    def measure(self, model: nn.Module) -> dict[str, float]:
        """Return the accuracy and the mean cross entropy over all examples; the model keeps its mode."""
        was_training = model.training
        model.eval()
        right, loss = 0, 0.0
        with torch.no_grad():
            for input_B, label_B in self._in_order():
                score_BC = model(input_B)
                right += int((score_BC.argmax(1) == label_B).sum())
                loss += float(functional.cross_entropy(score_BC, label_B, reduction="sum"))
        model.train(was_training)
        return {"accuracy": right / len(self), "loss": loss / len(self)}

    def right(self, model: nn.Module) -> NDArray[np.bool_]:
        """Which examples a model classifies rightly; the model keeps its mode."""
        was_training = model.training
        model.eval()
        with torch.no_grad():
            right = [model(input_B).argmax(1) == label_B for input_B, label_B in self._in_order()]
        model.train(was_training)
        right_N: NDArray[np.bool_] = torch.cat(right).numpy()
        return right_N

    def _in_order(self) -> Iterator[Pair]:
        return zip(
            torch.split(self.input_N, EVALUATION_BATCH), torch.split(self.label_N, EVALUATION_BATCH), strict=True
        )


def batch_seed(seed: int, shard: int) -> int:
    """Tell shards apart that share a run's seed: devices may share examples, but never their order."""
    return (seed * 1_000_003 + shard) % (1 << 63)


def norm_layer(norm: str, channels: int) -> nn.Module:
    """Make the normalisation a task's `norm` names; only "batch" has buffers that must travel."""
    return nn.GroupNorm(8, channels) if norm == "group" else nn.BatchNorm1d(channels)


def check_choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a parameter's value that is not one of the words it may be."""
    if value not in allowed:
        raise ValueError(f"{key} is {value!r}; it must be one of {', '.join(map(repr, allowed))}")


def check_batch_size(batch_size: int) -> None:
    """Refuse a batch size that no device could fill."""
    if not 1 <= batch_size <= 4096:
        raise ValueError(f"batch_size is {batch_size}; it must be 1 to 4096")
