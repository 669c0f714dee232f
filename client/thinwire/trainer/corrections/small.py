"""Corrections of a few lines: mixing, the proximal pull, factor masking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from thinwire.trainer.corrections.base import Correction

if TYPE_CHECKING:
    from thinwire.trainer.replica import Cut, Pending, Replica

Vector = NDArray[np.float32]
Index = NDArray[np.int64]


class Mix(Correction):
    """Streaming DiLoCo's merge (Douillard et al., 2025): w = alpha w + (1 - alpha) W when the own delta is included.

    The next delta is then w - W at its cut: of the steps done meanwhile, alpha is uploaded and the rest is given up. No
    sum over increments holds here. State: none.
    """

    def __init__(self, share: float) -> None:
        self._share = np.float32(share)

    def committed(
        self, replica: Replica, index_K: Index, value_K: Vector, included: Sequence[Pending], steps: int
    ) -> None:
        """Keep a share of the distance to the new base."""
        if included:
            np.subtract(replica.origin_P, replica.base_P, out=replica.unsent_P)
            replica.unsent_P *= self._share


class Proximal(Correction):
    """FedProx (Li et al., MLSys 2020): each local step adds -eta mu (w - W), w before the step.

    For plain SGD that is its gradient of mu/2 |w - W|^2; beside momentum or Adam it is decoupled, as AdamW's weight
    decay is. The pull is work of the device's own, and uploaded. State: none.
    """

    def __init__(self, size: int, strength: float, learning_rate: float) -> None:
        self._scale = np.float32(-strength * learning_rate)
        self._pull_P = np.empty(size, np.float32)

    def before_step(self, replica: Replica) -> None:
        """The pull at the point where the gradient is taken."""
        np.subtract(replica.working_P, replica.base_P, out=self._pull_P)
        self._pull_P *= self._scale

    def after_step(self, replica: Replica) -> None:
        """Give in to it."""
        replica.working_P += self._pull_P


class Trained(Protocol):
    """What a correction needs of a learner."""

    weights_P: Vector

    def damp(self, index_K: Index) -> None:
        """Clear the optimiser's momentum at these coordinates."""


class FactorMasking(Correction):
    """DGC (Lin et al., ICLR 2018): momentum is cleared where a delta has just carried its product away.

    State: none but the optimiser's momentum, which a trainer that restarts builds up anew.
    """

    def __init__(self, learner: Trained) -> None:
        self._learner = learner

    def cut(self, replica: Replica, cut: Cut) -> None:
        """Clear it at the delta's coordinates."""
        self._learner.damp(cut.index_K)
