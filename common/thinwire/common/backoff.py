"""How long to wait before the next attempt: exponential, with full jitter.

    delay = dice.uniform(0, min(cap, base * 2**attempt))

Full jitter, because a fleet that lost its coordinator at one moment must not come back at one moment.
Pure: the dice are an argument, and nobody sleeps here.
"""

import random


class Backoff:
    """The delays of one series of attempts; `reset` once an attempt has succeeded."""

    def __init__(self, base_s: float = 0.5, cap_s: float = 60.0) -> None:
        if not 0 < base_s <= cap_s:
            raise ValueError(f"a back-off from {base_s} s to {cap_s} s; it needs 0 < base <= cap")
        self._base_s = base_s
        self._cap_s = cap_s
        self._ceiling_s = base_s

    def next(self, dice: random.Random) -> float:
        """Seconds to wait now; the range of the following delay doubles up to the cap."""
        delay_s = dice.uniform(0.0, self._ceiling_s)
        self._ceiling_s = min(self._cap_s, self._ceiling_s * 2)
        return delay_s

    def reset(self) -> None:
        """Start again from the base."""
        self._ceiling_s = self._base_s
