"""How late acknowledgements come, in local steps: measured for every delta, never assumed."""

from __future__ import annotations

from collections import deque

# Enough for a 95th percentile, and few enough that a link which got better is soon believed.
REMEMBERED = 256


class Delays:
    """Delays of the last acknowledged deltas, each from its cut to its inclusion in the base.

    A trainer that starts anew has none, and counts a delta that it inherits from the moment it inherits it.
    """

    def __init__(self) -> None:
        self.last = 0
        self._recent: deque[int] = deque(maxlen=REMEMBERED)

    def note(self, steps: int) -> None:
        """One more."""
        self.last = max(0, steps)
        self._recent.append(self.last)

    def percentile(self, share: float) -> int:
        """The smallest delay that this share of them (0 to 1) does not exceed; 0 without any."""
        if not self._recent:
            return 0
        ranked = sorted(self._recent)
        return ranked[max(0, -int(-share * len(ranked) // 1) - 1)]
