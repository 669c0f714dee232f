"""Is a delta fit to be used, and why not. Everything is checked before anything is added."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import CodecError, Limits, Reason, unpack
from thinwire.common.layout import Layout
from thinwire.common.statistics import unpack_statistics
from thinwire.common.values import RejectReason
from thinwire.server.sums import length

Vector = NDArray[np.float32]

# A delta this many times the clip norm is no honest outlier.
REFUSED_CLIP_FACTOR = 10.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """A delta that may be folded: made on version `base`, its values to be multiplied by `clip`."""

    base: int
    index_K: NDArray[np.int64]
    value_K: Vector
    buffers_B: Vector | None
    norm: float  # Euclidean, of all values, before `clip`
    buffers_norm: float | None = None  # likewise; None without statistics
    clip: float = 1.0
    seed: int | None = None  # of the mask that its positions are


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why not, and whether the device takes the mass back into its residual."""

    reason: RejectReason
    message: str
    refund: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The limits of one training run."""

    layout: Layout
    buffer_layout: Layout
    max_kept: int
    max_bytes: int
    max_staleness: int
    clip_norm: float = 0.0
    norm_guard: float = 0.0  # times what is usual; 0 is off

    def judge(self, payload: bytes, buffer_bytes: int, version: int) -> Admitted | Rejected:
        """Unpack a sealed delta against the model at `version`."""
        if buffer_bytes > len(payload):
            return _bad(f"statistics of {buffer_bytes} bytes in a delta of {len(payload)}")
        split = len(payload) - buffer_bytes
        limits = Limits(self.layout.hash, self.layout.size, self.max_kept, self.max_bytes)
        try:
            delta = unpack(memoryview(payload)[:split], limits)
            buffers_B = unpack_statistics(payload[split:], self.buffer_layout) if buffer_bytes else None
        except CodecError as error:
            return _rejection(error)
        norm = length(delta.value_K)
        refused = self._refuse_base(delta.base, version) or self._refuse_norm(norm)
        clip = self.clip_norm / norm if 0 < self.clip_norm < norm else 1.0
        buffers_norm = None if buffers_B is None else length(buffers_B)
        return refused or Admitted(
            delta.base, delta.index_K, delta.value_K, buffers_B, norm, buffers_norm, clip, delta.seed
        )

    def refuse_outlier(self, norm: float, usual: float | None, of: str = "deltas") -> Rejected | None:
        """Hold a norm, of deltas or statistics, against what is usual among other devices, if known; see norms.py."""
        if not self.norm_guard or usual is None or norm <= self.norm_guard * usual:
            return None
        message = (
            f"{of} of norm {norm:g}, where other devices' longest are about {usual:g};"
            f" at most {self.norm_guard:g} times that is taken (aggregation.norm_guard)"
        )
        return Rejected(RejectReason.OUTLIER, message, refund=False)

    def _refuse_base(self, base: int, version: int) -> Rejected | None:
        if base > version:
            message = f"made on version {base}, but {version} is the newest"
            return Rejected(RejectReason.UNKNOWN_VERSION, message, refund=False)
        if version - base > self.max_staleness:
            message = f"made on version {base}, {version - base} versions ago; at most {self.max_staleness} are taken"
            return Rejected(RejectReason.TOO_STALE, message, refund=True)
        return None

    def _refuse_norm(self, norm: float) -> Rejected | None:
        limit = REFUSED_CLIP_FACTOR * self.clip_norm
        if self.clip_norm and norm > limit:
            return Rejected(
                RejectReason.BAD_VALUES, f"norm {norm:g}; at most {limit:g} is taken", refund=False
            )
        return None


def reopen(
    payload: bytes, buffer_bytes: int, layout: Layout, buffer_layout: Layout, norm: float | None = None
) -> Admitted:
    """Unpack a delta that was admitted before; raise CodecError when it is not what it was.

    Its norm is the one that was found then; None in journals that do not say.
    """
    split = len(payload) - buffer_bytes
    delta = unpack(memoryview(payload)[:split], Limits(layout.hash, layout.size, layout.size, max_bytes=len(payload)))
    buffers_B = unpack_statistics(payload[split:], buffer_layout) if buffer_bytes else None
    found = length(delta.value_K) if norm is None else norm
    return Admitted(delta.base, delta.index_K, delta.value_K, buffers_B, found, seed=delta.seed)


def _bad(message: str) -> Rejected:
    return Rejected(RejectReason.BAD_FORMAT, message, refund=False)


def _rejection(error: CodecError) -> Rejected:
    kinds = {
        Reason.WRONG_LAYOUT: RejectReason.WRONG_LAYOUT,
        Reason.BAD_VALUE: RejectReason.BAD_VALUES,
    }
    # Too many values are no offence where the density was lowered between two starts: the mass comes with later deltas.
    refund = error.reason is Reason.WRONG_COUNT
    return Rejected(kinds.get(error.reason, RejectReason.BAD_FORMAT), str(error), refund)
