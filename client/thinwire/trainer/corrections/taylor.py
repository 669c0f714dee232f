"""The Taylor term of the correction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from thinwire.trainer.corrections.base import Correction, Late

if TYPE_CHECKING:
    from thinwire.trainer.replica import Cut, Pending, Replica

Vector = NDArray[np.float32]
Index = NDArray[np.int64]


class Taylor(Correction):
    """DC-ASGD (Zheng et al., ICML 2017), on the device: A += (T - 1) b, where T = exp(-lambda eta G2).

    b came late by the steps since its own delta was cut; T is, to first order, what those steps would have made of it.
    G2 is the sum of g * g over them, elementwise, read off the increments u = -eta g: eta G2 = sum of u * u / eta. The
    raw 1 - lambda eta G2 of the paper changes sign where curvature is high; its exponential cannot.

    State: a vector of squares for each pending delta, and b. A trainer that restarts begins with none, and skips the
    term until a delta of its own is acknowledged.
    """

    def __init__(self, size: int, strength: float, learning_rate: float) -> None:
        self._scale = np.float32(strength / learning_rate)
        self._late = Late(size)
        self._before_P = np.empty(size, np.float32)
        self._square_P = np.zeros(size, np.float32)
        self._until: dict[int, Vector] = {}  # squares of the steps that ended with the cut of that delta
        self._cut_at: dict[int, int] = {}
        self._steps = 0

    def before_step(self, replica: Replica) -> None:
        """Remember where the step begins."""
        self._before_P[:] = replica.working_P

    def after_step(self, replica: Replica) -> None:
        """Square the increment."""
        self._steps += 1
        np.subtract(replica.working_P, self._before_P, out=self._before_P)
        np.square(self._before_P, out=self._before_P)
        self._square_P += self._before_P

    def cut(self, replica: Replica, cut: Cut) -> None:
        """What comes now belongs to the window of this delta too."""
        self._until[cut.seq], self._square_P = self._square_P, np.zeros_like(self._square_P)
        self._cut_at[cut.seq] = self._steps

    def committed(
        self, replica: Replica, index_K: Index, value_K: Vector, included: Sequence[Pending], steps: int
    ) -> None:
        """Correct what was done while the commit was late."""
        self._late.note(index_K, value_K, included)
        seqs = [seq for seq in self._until if seq not in replica.pending]
        if not included:
            return
        if seqs:
            newest = max(seqs)
            square_P = self._square_P + sum(held_P for seq, held_P in self._until.items() if seq > newest)
            replica.unsent_P += self.change(square_P, self._steps - self._cut_at[newest]) * self._late.b_P
        # Also where the window is not known: it was late then, and is not late any more.
        self._late.b_P.fill(0.0)
        for seq in seqs:
            del self._until[seq], self._cut_at[seq]

    def snapped(self, replica: Replica) -> None:
        """The windows no longer fit what is pending."""
        self._late.b_P.fill(0.0)
        self._until.clear()
        self._cut_at.clear()

    def change(self, square_P: Vector, steps: int) -> Vector:
        """T - 1, (P,), for a window of that many steps with these sums of squared increments."""
        change_P: Vector = np.expm1(-self._scale * square_P)
        return change_P
