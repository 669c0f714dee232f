"""The device's local optimisers, on the flat vector: the few lines of torch.optim that a trainer needs.

Making any optimiser of torch.optim imports the compiler with it: 65 MB and two seconds of a laptop's CPU for each
trainer, ten times that on a Pi. The tests hold these to torch.optim's own results, bit for bit.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Optimizer(Protocol):
    """Moves `weight_P` by `gradient_P`, both (P,)."""

    def step(self) -> None:
        """One step."""

    def damp(self, index_K: Tensor) -> None:
        """Clear the momentum at these coordinates."""


class Sgd:
    """v = momentum * v + g;  w -= learning_rate * v      (torch.optim.SGD)"""

    def __init__(self, weight_P: Tensor, gradient_P: Tensor, learning_rate: float, momentum: float) -> None:
        self._weight_P, self._gradient_P = weight_P, gradient_P
        self._learning_rate, self._momentum = learning_rate, momentum
        self._velocity_P: Tensor | None = None

    def step(self) -> None:
        """One step."""
        direction_P = self._gradient_P
        if self._momentum:
            if self._velocity_P is None:
                self._velocity_P = self._gradient_P.clone()
            else:
                self._velocity_P.mul_(self._momentum).add_(self._gradient_P)
            direction_P = self._velocity_P
        self._weight_P.add_(direction_P, alpha=-self._learning_rate)

    def damp(self, index_K: Tensor) -> None:
        """Clear the momentum at these coordinates."""
        if self._velocity_P is not None:
            self._velocity_P[index_K] = 0.0


class Adam:
    """Kingma and Ba, ICLR 2015, with the usual betas and epsilon      (torch.optim.Adam)"""

    BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, weight_P: Tensor, gradient_P: Tensor, learning_rate: float) -> None:
        self._weight_P, self._gradient_P, self._learning_rate = weight_P, gradient_P, learning_rate
        self._mean_P, self._square_P = torch.zeros_like(weight_P), torch.zeros_like(weight_P)
        self._steps = 0

    def step(self) -> None:
        """One step."""
        self._steps += 1
        self._mean_P.lerp_(self._gradient_P, 1 - self.BETA1)
        self._square_P.mul_(self.BETA2).addcmul_(self._gradient_P, self._gradient_P, value=1 - self.BETA2)
        scale_P = (self._square_P.sqrt() / (1 - self.BETA2**self._steps) ** 0.5).add_(self.EPSILON)
        self._weight_P.addcdiv_(self._mean_P, scale_P, value=-self._learning_rate / (1 - self.BETA1**self._steps))

    def damp(self, index_K: Tensor) -> None:
        """Clear the first moment at these coordinates; the second is a scale, no momentum."""
        self._mean_P[index_K] = 0.0


def optimizer(
    name: str, weight_P: Tensor, gradient_P: Tensor, learning_rate: float, momentum: float
) -> Optimizer:
    """The optimiser of a plan: "sgd" or "adam"."""
    if name == "adam":
        return Adam(weight_P, gradient_P, learning_rate)
    return Sgd(weight_P, gradient_P, learning_rate, momentum)
