"""The tokens of sealed deltas, read from their bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import Limits
from thinwire.common.layout import Layout
from thinwire.sim import memo
from thinwire.sim.tokens import Count, counted
from thinwire.trainer.replica import Replica


class Deltas:
    """Every delta that a trainer has cut, by SHA-256: where a disk was set back, a number may come twice."""

    def __init__(self, layout: Layout) -> None:
        self._limits = Limits(layout.hash, layout.size, layout.size)
        self.sealed: dict[bytes, Count] = {}
        self.chosen: dict[bytes, NDArray[np.int64]] = {}  # the coordinates, some of which may hold nothing

    def seal(self, sha256: bytes, payload: bytes) -> None:
        """A trainer has cut a delta; if it is never sent, another may take its number."""
        self.sealed[sha256] = self.tokens(payload)
        self.chosen[sha256] = memo.unpacked(payload, self._limits).index_K

    def tokens(self, payload: bytes) -> Count:
        """The tokens of a packed delta (P,)."""
        found = memo.unpacked(payload, self._limits)
        return self._dense(found.index_K, found.value_K)

    def pending(self, replica: Replica, seq: int) -> Count:
        """The tokens of a delta that a replica carries (P,)."""
        delta = replica.pending[seq]
        return self._dense(delta.index_K, delta.value_K)

    def nothing(self) -> Count:
        """No token at all (P,)."""
        return np.zeros(self._limits.size, np.int64)

    def _dense(self, index_K: NDArray[np.int64], value_K: NDArray[np.float32]) -> Count:
        token_P = self.nothing()
        token_P[index_K] = counted(value_K)
        return token_P


def unsealed(replica: Replica) -> Count:
    """Tokens that a replica holds and has not sealed (P,)."""
    live_P = replica.working_P.astype(np.float64) - replica.origin_P
    return counted(live_P + replica.residual_P + replica.unsent_P)
