"""The links of the delayed table, in units that say nothing about any one machine.

One unit is what a device needs for the ten local steps between two deltas, K * tau. A link is its round trip and the
time that a dense float32 model takes on it, each way, both in units; so a device of half the speed on a link of half
the speed has the same row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

DEVICES, LOCAL_STEPS, STEP_S = 10, 10, 0.1
UNIT_S = LOCAL_STEPS * STEP_S
PARAMETERS = 54_250  # of the small network for CIFAR-10
DENSE_BITS = 32 * PARAMETERS


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """A round trip, and a dense model's transfer time each way, in units."""

    round_trip: float
    dense: float

    def __str__(self) -> str:
        return f"rtt-{self.round_trip:g}-dense-{self.dense:g}"

    @property
    def rate_bps(self) -> float:
        """Bits a second, each way."""
        return DENSE_BITS / (self.dense * UNIT_S) if self.dense else 1e12

    @property
    def setting(self) -> str:
        """What a scenario's fleet calls it."""
        if not self.round_trip and not self.dense:
            return "none"
        return f"{self.round_trip * UNIT_S:g}s,{self.rate_bps:.0f}bit"

    def window(self, density: float) -> int:
        """Deltas on their way that fill the link and no more; those of `density` take about 7 bits a parameter kept."""
        transfer = self.dense * (1.0 if density == 1.0 else density * 7 / 32)
        return 1 + math.ceil((self.round_trip + 2 * transfer) / max(1.0, transfer))


NEAR = Link(0, 0)
FAR = Link(5, 10)
WITH_BANDWIDTH = (Link(20, 10), Link(5, 1))
LATENCY = (Link(5, 0), Link(10, 0), NEAR)
# From this round trip on, what overlaps is given twice the time.
LONG = 10
