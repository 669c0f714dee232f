"""What a device knows of the model, and what it owes: the bookkeeping behind overlap and correction.

    base_P      W, the device's exact copy of the published model at `version`
    pending     F, sealed deltas that are not in the base yet, by number
    unsent_P    A, the sum of the device's own increments since the last cut
    residual_P  e, mass that was never sent
    working_P   w, the vector that the optimiser moves
    origin_P    the w of the last rebase

    step:    w += u;  A += u
    cut:     a = e + A;  q = quantise(select(a));  e = a - q;  F += q;  A = 0;  w = W + omega * F
    commit:  W += c;  F -= own deltas that it includes;                       w = W + omega * (F + A)
    reject:  F -= q;  e += q                                 (or the mass is dropped, and counted as dropped)

The rebase on the right is the correction for delay (Delayed Gradient Averaging, NeurIPS 2021, is omega = 1). At
omega = 1/2 own pending work counts half until its commit is here; it is the smallest weight that is stable for every
delay of what is sent. Omega does not touch what is not sent: released, it is a delay as well.
What travels is the sum of own increments, never end minus start: between the two a commit may have moved w, and that
jump belongs to others. Increments are read off as w minus the origin, when they are needed.

What a cut leaves unsent is treated in one of three ways:

    release   e is out of the working model until it is sent; the line "cut" above
    keep      w = W + omega * (F + A + e): a device trains on what it has not sent, too (partial averaging, LOSCAR)
    private   as keep, and e is never offered again: a = A  (partial averaging without memory)

`corrections/` has what a plan may add to the rebase.

Shapes: P parameters, K coordinates of a delta or commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from thinwire.common import checksum
from thinwire.common.codec import Quantised, ValueCode, add_and_select, kept_of, quantise, select
from thinwire.common.codec.mask import drawn, seed_of
from thinwire.trainer.delays import Delays

if TYPE_CHECKING:
    from thinwire.trainer.corrections import Correction

Vector = NDArray[np.float32]
Index = NDArray[np.int64]


class DesyncError(ValueError):
    """The base cannot go on from here; the device needs a snapshot."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A delta before it is packed: made on version `base`; with a `seed` when its coordinates are a mask's.

    `energy` is the squared norm of what could be sent.
    """

    seq: int
    base: int
    index_K: Index
    quantised: Quantised
    energy: float
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """A sealed delta that is not in the base yet."""

    index_K: Index
    value_K: Vector
    steps: int  # local steps done when it was cut


class Replica:
    """One device's replica; `working_P` is shared with the model that the optimiser moves."""

    def __init__(self, working_P: Vector, omega: float, next_seq: int = 1) -> None:
        self.working_P = working_P
        self.omega = omega
        self.base_P = working_P.copy()
        self.unsent_P = np.zeros_like(working_P)
        self.residual_P = np.zeros_like(working_P)
        self.pending: dict[int, Pending] = {}
        self.version = -1
        self.checksum = 0
        self.next_seq = next_seq
        self.dropped = 0.0
        self.delays = Delays()
        # How this replica is run; a new plan may change them at any time.
        self.residual = ""  # released, or "keep", or "private"
        self.mask_secret: int | None = None  # None: the largest coordinates go
        self.corrections: tuple[Correction, ...] = ()
        self.origin_P = working_P.copy()

    @property
    def based(self) -> bool:
        """Whether the replica holds a published version."""
        return self.version >= 0

    def rebase_on(self, weights_P: Vector, version: int, through: int) -> None:
        """Take a snapshot as the new base; own deltas up to `through` are settled in it."""
        self._absorb()
        self.base_P[:] = weights_P
        self.version, self.checksum = version, checksum.full(weights_P)
        self._include(through, steps=None)
        for correction in self.corrections:
            correction.snapped(self)
        self._rebase()

    def adopt(self, seq: int, index_K: Index, value_K: Vector, steps: int) -> None:
        """Carry a delta that an earlier trainer sealed as this one's pending work."""
        self._absorb()
        self.pending[seq] = Pending(index_K, value_K, steps)
        self.next_seq = max(self.next_seq, seq + 1)
        self._rebase()

    def cut(self, density: float, code: ValueCode, steps: int) -> Cut:
        """Seal the largest coordinates of everything unsent, or a mask's; the rest stays in the residual."""
        self._absorb()
        # The version that a round's commit will be, if all goes well: devices agree on it again after any hiccup.
        number = self.version + len(self.pending) + 1
        seed = None if self.mask_secret is None else seed_of(self.mask_secret, number)
        # What was private once is never offered again, so it is no part of what could be sent.
        own = _energy(self.unsent_P) if self.residual == "private" else None
        index_K, value_K = self._offer(kept_of(density, self.residual_P.size), seed)
        quantised = quantise(value_K, code)
        energy = _energy(self.residual_P) if own is None else own
        self.residual_P[index_K] -= quantised.value_K
        cut = Cut(self.next_seq, self.version, index_K, quantised, energy, seed)
        self.pending[cut.seq] = Pending(index_K, quantised.value_K, steps)
        self.next_seq += 1
        for correction in self.corrections:
            correction.cut(self, cut)
        self._rebase()
        return cut

    def begin_step(self) -> None:
        """The optimiser is about to move `working_P`."""
        for correction in self.corrections:
            correction.before_step(self)

    def end_step(self) -> None:
        """It has."""
        for correction in self.corrections:
            correction.after_step(self)

    def advance(
        self, base: int, index_K: Index, value_K: Vector, expected: int | None, through: int, steps: int
    ) -> None:
        """Apply the commit made on version `base`; raise DesyncError when it does not follow or the sums differ."""
        if base != self.version:
            raise DesyncError(f"a commit on version {base} came to a base of version {self.version}")
        self._absorb()
        before = checksum.of(index_K, self.base_P[index_K])
        self.base_P[index_K] += value_K
        after = checksum.of(index_K, self.base_P[index_K])
        self.version += 1
        self.checksum = (self.checksum - before + after) % 2**64
        if expected is not None and expected != self.checksum:
            raise DesyncError(
                f"version {self.version} has checksum {self.checksum:016x} here, {expected:016x} there"
            )
        included = self._include(through, steps)
        for correction in self.corrections:
            correction.committed(self, index_K, value_K, included, steps)
        self._rebase()

    def reject(self, seq: int, *, refund: bool) -> None:
        """A delta will not change the model: its mass returns to the residual, or is dropped and counted."""
        delta = self.pending.pop(seq, None)
        if delta is None:
            return
        self._absorb()
        if refund:
            self.residual_P[delta.index_K] += delta.value_K
        else:
            self.dropped += float(np.abs(delta.value_K).sum())
        self._rebase()

    def unsent(self, part: slice) -> Vector:
        """What of these parameters was never sent, the steps since the last rebase included."""
        return self.residual_P[part] + (self.unsent_P[part] + (self.working_P[part] - self.origin_P[part]))

    def restore(self, residual_P: Vector) -> None:
        """Begin with what an earlier replica had not sent."""
        self._absorb()
        self.residual_P[:] = residual_P
        self._rebase()

    def mask(self, index_K: Index) -> None:
        """These coordinates were sealed after the residual was saved: what is left of them is forgotten."""
        self.residual_P[index_K] = 0.0

    def repay(self, index_K: Index, value_K: Vector) -> None:
        """This delta was given back after the residual was saved."""
        self.residual_P[index_K] += value_K

    def residual_norm(self) -> float:
        """Euclidean norm of what was never sent."""
        with np.errstate(over="ignore"):
            return float(np.linalg.norm(self.residual_P))

    def _offer(self, kept: int, seed: int | None) -> tuple[Index, Vector]:
        """Move what is unsent into the residual; where and what of it goes."""
        if self.residual != "private" and seed is None:
            index_K = add_and_select(self.residual_P, self.unsent_P, kept)
            return index_K, self.residual_P[index_K]
        index_K = select(self.unsent_P, kept) if seed is None else drawn(seed, kept, self.unsent_P.size)
        value_K = self.unsent_P[index_K]
        if self.residual != "private":
            value_K += self.residual_P[index_K]
        self.residual_P += self.unsent_P
        self.unsent_P.fill(0.0)
        return index_K, value_K

    def _include(self, through: int, steps: int | None) -> Sequence[Pending]:
        included = [self.pending.pop(seq) for seq in list(self.pending) if seq <= through]
        # A snapshot says only that they are in it, not for how long they have been.
        if steps is not None:
            for delta in included:
                self.delays.note(steps - delta.steps)
        return included

    def _absorb(self) -> None:
        # origin becomes the increment, then the new origin: no fourth vector is needed.
        np.subtract(self.working_P, self.origin_P, out=self.origin_P)
        self.unsent_P += self.origin_P
        self.origin_P[:] = self.working_P

    def _rebase(self) -> None:
        np.multiply(self.unsent_P, np.float32(self.omega), out=self.working_P)
        if self.residual:
            self.working_P += np.float32(self.omega) * self.residual_P
        self.working_P += self.base_P
        for delta in self.pending.values():
            self.working_P[delta.index_K] += np.float32(self.omega) * delta.value_K
        for correction in self.corrections:
            correction.offset(self)
        self.origin_P[:] = self.working_P


def _energy(row_P: Vector) -> float:
    with np.errstate(over="ignore"):
        return float(row_P @ row_P)
