"""How deltas become one update: partial averaging, coordinate by coordinate.

With p_i the share of device i in the fleet's weight and c_i its delta, the update of a buffer B is

    all      sum over B of p_i c_i
    buffer   (sum over B of p_i c_i) / (sum of p_i over B)
    covered  (sum of p_i c_i / sum of p_i over those who sent the coordinate) * (sum of p_i over B)

so that `all` and `covered` agree where every delta of the buffer covers the coordinate. With these two every delta
carries its device's share whatever the size of the buffer: the buffer sets how often commits come, not how far each
goes. `buffer` is the mean that FedAvg and FedBuff take; it multiplies a delta by what the rest of the fleet weighs.
A discount for staleness makes a delta smaller, never the others larger.

With top-k and a residual, `all` keeps the books: `covered` multiplies what few devices have sent by up to the size of
the buffer, a gain that neither omega nor the devices' residuals know of. On the activity task that cost 9 to 20 points
of accuracy at the same number of commits; it is here for masks that are shared, where coverage is meant.

Shapes: P parameters, K coordinates of one delta.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import add_at

Vector = NDArray[np.float32]
Index = NDArray[np.int64]

# A coordinate that one light device alone covers must not be blown up by a rounding error in its share.
MIN_COVER = np.float32(1e-12)
# Coordinates of sum and cover that stay in a core's own cache while they are worked on.
BLOCK = 1 << 14


class Fold:
    """The sum of a buffer of deltas; `close` turns it into an update and starts the next."""

    def __init__(self, size: int, denominator: str) -> None:
        self.denominator = denominator
        self._sum_P = np.zeros(size, np.float32)
        self._cover_P = np.zeros(size, np.float32) if denominator == "covered" else None
        self._mean = denominator == "buffer"
        self.weight = self.share = 0.0
        self.count = 0

    def add(self, index_K: Index, value_K: Vector, weight: float, share: float = 0.0) -> None:
        """Add one delta, weighted by its device's share times what staleness leaves of it; the index must ascend."""
        add_at(self._sum_P, index_K, value_K, weight)
        if self._cover_P is not None:
            np.add.at(self._cover_P, index_K, np.float32(weight))
        self.weight += weight
        self.share += share
        self.count += 1

    def close(self) -> Vector:
        """The update (P,) of what was added; the fold is empty afterwards and the caller owns the array."""
        update_P = self._sum_P
        if self._cover_P is not None:
            # One delta alone needs no division: p c / p * p would only add rounding.
            if self.count > 1:
                self._divide(update_P, self._cover_P)
            self._cover_P.fill(0.0)
        if self._mean and self.share:
            update_P /= np.float32(self.share)
        self._sum_P = np.zeros_like(update_P)
        self.weight, self.share, self.count = 0.0, 0.0, 0
        return update_P

    def _divide(self, update_P: Vector, cover_P: Vector) -> None:
        # Where nothing was sent the sum is 0, and stays so whatever it is divided by: no mask is needed.
        for start in range(0, len(update_P), BLOCK):
            cover = cover_P[start : start + BLOCK]
            np.maximum(cover, MIN_COVER, out=cover)
            np.divide(np.float32(self.weight), cover, out=cover)
            update_P[start : start + BLOCK] *= cover


class Statistics:
    """The weighted mean of the devices' non-trainable buffers, such as batch-norm moments: averaged, never summed."""

    def __init__(self, size: int) -> None:
        self._sum_B = np.zeros(size, np.float64)
        self._weight = 0.0

    def add(self, buffers_B: Vector, weight: float) -> None:
        """Add one device's statistics."""
        self._sum_B += weight * buffers_B
        self._weight += weight

    def close(self) -> Vector | None:
        """The mean of what was added, or None when nothing was; empty afterwards."""
        if self._weight <= 0.0:
            return None
        mean_B = (self._sum_B / self._weight).astype(np.float32)
        self._sum_B.fill(0.0)
        self._weight = 0.0
        return mean_B


def staleness_weight(kind: str, staleness: int, power: float) -> float:
    """What a delta that is `staleness` versions late counts for; 1 unless the policy is `polynomial`.

    FedAsync's s(tau) = (1 + tau) ** -power. The mass it takes away is lost for good, so it is off by default.
    """
    return (1.0 + staleness) ** -power if kind == "polynomial" else 1.0
