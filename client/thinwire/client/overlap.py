"""How much of the sending hides behind computing: time in which both happened, over time in which bytes travelled."""

from __future__ import annotations


class OverlapMeter:
    """Integrates two flags over time; told of every change, asked at any time."""

    def __init__(self) -> None:
        self.transfer_s = 0.0
        self.hidden_s = 0.0
        self._since: float | None = None
        self._transferring = False
        self._computing = False

    def note(self, now: float, *, transferring: bool, computing: bool) -> None:
        """From `now` on it is so."""
        if self._since is not None and self._transferring:
            self.transfer_s += now - self._since
            self.hidden_s += (now - self._since) if self._computing else 0.0
        self._since, self._transferring, self._computing = now, transferring, computing
