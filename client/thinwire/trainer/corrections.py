"""What a plan may add to the rebase of replica.py; nothing by default. The methods and papers: docs/algorithms.md.

A correction is told what happens on its replica and may move the replica's vectors, as long as own increments stay
accounted for: what changes `unsent_P` will be uploaded, what changes `working_P` and `origin_P` alike will not.
Shapes: P parameters, K coordinates of a commit or delta.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from thinwire.common.values import Plan

if TYPE_CHECKING:
    from thinwire.trainer.replica import Cut, Pending, Replica

Vector = NDArray[np.float32]
Index = NDArray[np.int64]


class Trained(Protocol):
    """What a correction needs of a learner."""

    weights_P: Vector

    def damp(self, index_K: Index) -> None:
        """Clear the optimiser's momentum at these coordinates."""


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


class _Late:
    """b, what others did since the last own acknowledgement: commits minus own deltas in them, (P,)."""

    def __init__(self, size: int) -> None:
        self.b_P = np.zeros(size, np.float32)

    def note(self, index_K: Index, value_K: Vector, included: Sequence[Pending]) -> None:
        self.b_P[index_K] += value_K
        for delta in included:
            self.b_P[delta.index_K] -= delta.value_K


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
        self._late = _Late(size)
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
        if not included or not seqs:
            return
        newest = max(seqs)
        square_P = self._square_P + sum(held_P for seq, held_P in self._until.items() if seq > newest)
        replica.unsent_P += self.change(square_P, self._steps - self._cut_at[newest]) * self._late.b_P
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


class Drift(Correction):
    """Control variates in the manner of SCAFFOLD (Karimireddy et al., ICML 2020): replacement in advance.

    B is a moving average of (commits - own deltas) a round, taken at each acknowledgement. The working model is moved
    by gamma * B for each pending round, in equal parts over its steps, and none of it is uploaded. Without delay, with
    gamma 1 and no memory, this is SCAFFOLD with full participation. Above two rounds of delay it harms whatever gamma
    is; a delay like that empties B.

    State: B and what it is made from. A trainer that restarts begins with B = 0, as SCAFFOLD does.
    """

    def __init__(self, size: int, strength: float, memory: float, local_steps: int) -> None:
        self._strength, self._memory, self._local_steps = strength, memory, local_steps
        self._late = _Late(size)
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
        if steps - included[-1].steps > 2 * self._local_steps:
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


class FactorMasking(Correction):
    """DGC (Lin et al., ICLR 2018): momentum is cleared where a delta has just carried its product away.

    State: none but the optimiser's momentum, which a trainer that restarts builds up anew.
    """

    def __init__(self, learner: Trained) -> None:
        self._learner = learner

    def cut(self, replica: Replica, cut: Cut) -> None:
        """Clear it at the delta's coordinates."""
        self._learner.damp(cut.index_K)


def corrections_of(plan: Plan, learner: Trained) -> tuple[Correction, ...]:
    """The corrections that a plan asks for, in the order in which they act."""
    size, wanted = learner.weights_P.size, list[Correction]()
    if plan.proximal:
        wanted.append(Proximal(size, plan.proximal, plan.learning_rate))
    if plan.taylor:
        wanted.append(Taylor(size, plan.taylor, plan.learning_rate))
    if plan.drift:
        wanted.append(Drift(size, plan.drift, plan.drift_memory, plan.local_steps))
    if plan.merge == "mix":
        wanted.append(Mix(plan.mix))
    if plan.mask_momentum:
        wanted.append(FactorMasking(learner))
    return tuple(wanted)
