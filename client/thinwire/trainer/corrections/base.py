"""What every correction is told, and what two of them keep count of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from thinwire.trainer.replica import Cut, Pending, Replica

Vector = NDArray[np.float32]
Index = NDArray[np.int64]


class Correction:
    """The base of all: looks on and does nothing."""

    def before_step(self, replica: Replica) -> None:
        """A local step is about to move `working_P`."""

    def after_step(self, replica: Replica) -> None:
        """It has."""

    def cut(self, replica: Replica, cut: Cut) -> None:
        """A delta was cut, and is pending."""

    def committed(
        self, replica: Replica, index_K: Index, value_K: Vector, included: Sequence[Pending], steps: int
    ) -> None:
        """A commit is in the base, and took these own deltas out of what is pending; `unsent_P` is up to date."""

    def snapped(self, replica: Replica) -> None:
        """A snapshot has replaced the base; which commits lie between is not known."""

    def offset(self, replica: Replica) -> None:
        """`working_P` was just rebased, and may be moved by what is never uploaded."""


class Late:
    """b, what others did since the last own acknowledgement: commits minus own deltas in them, (P,)."""

    def __init__(self, size: int) -> None:
        self.b_P = np.zeros(size, np.float32)

    def note(self, index_K: Index, value_K: Vector, included: Sequence[Pending]) -> None:
        """A commit came, and took these own deltas in."""
        self.b_P[index_K] += value_K
        for delta in included:
            self.b_P[delta.index_K] -= delta.value_K
