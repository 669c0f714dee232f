"""Lost packets as a stream sees them: TCP hides the loss and pays with time.

    rate   at most  1460 * 8 / (rtt * sqrt(2 p / 3))            (Mathis et al., CCR 1997)
    delay  one more round trip for each time that a packet of a word is lost, and again if it is lost again

Words stay in order, so what comes behind a lost packet waits for it.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

from thinwire.common.link import Lane, LinkProfile

SEGMENT_BYTES = 1460
# Above some per cent a connection mostly waits for time-outs, of which Mathis' formula knows nothing.
MOST_LOSS = 0.1


class LossyLane(Lane):
    """A lane on which each packet is lost with probability `loss`."""

    def __init__(self, profile: LinkProfile, loss: float) -> None:
        if not 0 < loss <= MOST_LOSS:
            raise ValueError(f"a lane that loses {loss} of its packets; above 0 and at most {MOST_LOSS} is modelled")
        self._loss = loss
        limit_bps = 8 * SEGMENT_BYTES / max(profile.rtt_s * math.sqrt(2 * self._loss / 3), 1e-9)
        super().__init__(replace(profile, rate_bps=min(profile.rate_bps, limit_bps)))

    def send(self, size_bytes: int, now: float, dice: random.Random) -> float:
        """When the last of `size_bytes` arrives that join the lane now."""
        self._arrival = super().send(size_bytes, now, dice) + self._late_s(size_bytes, dice)
        return self._arrival

    def _late_s(self, size_bytes: int, dice: random.Random) -> float:
        flying, late_s = math.ceil(size_bytes / SEGMENT_BYTES), 0.0
        while flying and dice.random() < 1.0 - (1.0 - self._loss) ** flying:
            late_s += self._profile.rtt_s
            flying = math.ceil(flying * self._loss)
        return late_s
