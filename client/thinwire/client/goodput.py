"""How fast deltas get through: payload bytes a second upward, over the time in which the uplink was at work.

Deltas leave one after another, so the link begins with one when it was sent, or when the one before it was through:

    at work on delta i = settled[i] - max(sent[i] + round trip, settled[i - 1])

Several may be under way, and a coordinator may settle several at once; so bytes and times are summed before they are
divided, and what is older fades.
"""

from __future__ import annotations

# Fewer bytes than this arrive in one flight, and their time says nothing about the rate - unless it is long.
FLOOR_BYTES = 16 * 1024
FADE = 0.8  # at each further figure: it remembers about five
SHORTEST_S = 1e-3


class GoodputMeter:
    """Fed by the agent's core; `figure` is the newest, 0 for none."""

    def __init__(self) -> None:
        self.figure = 0.0
        self._flying: dict[int, tuple[float, int]] = {}  # when it was sent, and its bytes
        self._rtt_s = self._settled_at = 0.0
        self._through_bytes = self._busy_s = 0.0

    def echoed(self, rtt_s: float) -> None:
        """A round trip was measured; the shortest of a stream is the way itself, others waited behind something."""
        self._rtt_s = min(self._rtt_s or rtt_s, rtt_s)

    def sent(self, seq: int, size_bytes: int, now: float) -> None:
        """So many bytes of a delta leave now."""
        self._flying[seq] = now, size_bytes

    def settled(self, seq: int, now: float) -> None:
        """Its outcome is here, so its bytes are there."""
        sent_at, size_bytes = self._flying.pop(seq, (now, 0))
        if not size_bytes:
            return
        self._through_bytes += size_bytes
        self._busy_s += max(0.0, now - max(sent_at + self._rtt_s, self._settled_at))
        self._settled_at = now
        if self._through_bytes >= FLOOR_BYTES or self._busy_s > self._rtt_s > 0:
            self.figure = self._through_bytes / max(self._busy_s, SHORTEST_S)
            self._through_bytes *= FADE
            self._busy_s *= FADE

    def lost(self) -> None:
        """The link is gone, and with it what was on its way; the next one may be another."""
        self._flying.clear()
        self._rtt_s = self._through_bytes = self._busy_s = 0.0
