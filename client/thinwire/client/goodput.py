"""How fast deltas get through: payload bytes a second upward, over each spell in which some are on their way.

A spell, not a delta, is what is timed: several deltas may be under way, and a coordinator may settle several at once,
so the time from one outcome to the next says nothing.
"""

from __future__ import annotations

# Fewer bytes than this arrive in one flight, and their time says nothing about the rate - unless it is long.
FLOOR_BYTES = 16 * 1024
# A link that is always busy is measured anew now and then.
SPELL_S = 30.0
SHORTEST_S = 1e-3


class GoodputMeter:
    """Fed by the agent's core; `figure` is the newest, 0 for none."""

    def __init__(self) -> None:
        self.figure = 0.0
        self._flying: dict[int, int] = {}  # bytes to send, by delta
        self._since = self._unpaid_s = 0.0
        self._through_bytes = 0

    def sent(self, seq: int, size_bytes: int, now: float, rtt_s: float) -> None:
        """So many bytes of a delta leave now."""
        if not self._flying:
            self._begin(now, rtt_s)
        self._flying[seq] = size_bytes

    def settled(self, seq: int, now: float) -> None:
        """Its outcome is here, so its bytes are there."""
        size_bytes = self._flying.pop(seq, None)
        if size_bytes is None:
            return
        self._through_bytes += size_bytes
        took_s = now - self._since - self._unpaid_s
        if self._through_bytes >= FLOOR_BYTES or took_s > self._unpaid_s > 0:
            self.figure = self._through_bytes / max(took_s, SHORTEST_S)
        if now - self._since >= SPELL_S:
            self._begin(now, 0.0)

    def lost(self) -> None:
        """The link is gone, and with it what was on its way."""
        self._flying.clear()

    def _begin(self, now: float, rtt_s: float) -> None:
        # The way of the first byte there and of the outcome back is once in a spell, and no part of the rate.
        self._since, self._unpaid_s, self._through_bytes = now, rtt_s, 0
