"""The drift correction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from thinwire.common.drift import bearable_rounds
from thinwire.trainer.corrections.base import Correction, Late

if TYPE_CHECKING:
    from thinwire.trainer.replica import Cut, Pending, Replica

Vector = NDArray[np.float32]
Index = NDArray[np.int64]


class Drift(Correction):
    """Control variates in the manner of SCAFFOLD (Karimireddy et al., ICML 2020): replacement in advance.

    B is a moving average of (commits - own deltas) a round, taken at each acknowledgement. The working model is moved
    by gamma * B for each pending round, in equal parts over its steps, and none of it is uploaded. Without delay, with
    gamma 1 and no memory, this is SCAFFOLD with full participation. Delay bounds how strong it may be; see
    `bearable_rounds`. A longer delay empties B.

    State: B and what it is made from. A trainer that restarts begins with B = 0, as SCAFFOLD does.
    """

    def __init__(self, size: int, strength: float, memory: float, local_steps: int) -> None:
        self._strength, self._memory, self._local_steps = strength, memory, local_steps
        self._bearable_steps = bearable_rounds(strength, memory) * local_steps
        self._late = Late(size)
        self._round_P = np.zeros(size, np.float32)  # B
        self._steps = 0  # since the last cut

    def after_step(self, replica: Replica) -> None:
        """The step's part of B; the origin moves too, so that it is no increment."""
        self._steps += 1
        part_P = np.float32(self._strength / self._local_steps) * self._round_P
        replica.working_P += part_P
        replica.origin_P += part_P

    def cut(self, replica: Replica, cut: Cut) -> None:
        """The next round begins."""
        self._steps = 0

    def committed(
        self, replica: Replica, index_K: Index, value_K: Vector, included: Sequence[Pending], steps: int
    ) -> None:
        """Learn how the fleet's round differs from the own one."""
        self._late.note(index_K, value_K, included)
        if not included:
            return
        if steps - included[-1].steps > self._bearable_steps:
            self._round_P.fill(0.0)
        else:
            self._round_P *= np.float32(self._memory)
            self._round_P += np.float32((1.0 - self._memory) / len(included)) * self._late.b_P
        self._late.b_P.fill(0.0)

    def snapped(self, replica: Replica) -> None:
        """What lies between is not known; B itself stays."""
        self._late.b_P.fill(0.0)

    def offset(self, replica: Replica) -> None:
        """gamma * pending rounds * B, the round under work counted by its steps."""
        rounds = len(replica.pending) + self._steps / self._local_steps
        replica.working_P += np.float32(self._strength * rounds) * self._round_P
