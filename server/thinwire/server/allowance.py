"""How often one device may have something written that is not a delta: a token bucket for each, without a clock.

A device that greets again and again as a stranger, or with another number of examples each time, makes the journal
longer by an entry each time. Honest ones do so when they are set up, or lose their disk.
"""

from __future__ import annotations


class Allowance:
    """At most `burst` acts at once, and one more every `every_s` seconds, for each device.

    Only who has used some of it is remembered, and not for longer than it takes until all of it is back.
    """

    def __init__(self, burst: int = 32, every_s: float = 20.0) -> None:
        self._burst, self._every_s = burst, every_s
        self._whole_at: dict[str, float] = {}  # when all of a device's allowance is back
        self._swept_at = 0.0

    def take(self, device: str, now: float) -> bool:
        """Whether the device may at `now` (seconds); if so it is counted."""
        self._sweep(now)
        whole_at = max(now, self._whole_at.get(device, now)) + self._every_s
        if whole_at - now > self._burst * self._every_s:
            return False
        self._whole_at[device] = whole_at
        return True

    def wait_s(self, device: str, now: float) -> float:
        """Seconds until the device may again; 0 for now."""
        return max(0.0, self._whole_at.get(device, now) - now - (self._burst - 1) * self._every_s)

    def __len__(self) -> int:
        """How many devices are remembered."""
        return len(self._whole_at)

    def _sweep(self, now: float) -> None:
        if now - self._swept_at >= self._burst * self._every_s:
            self._swept_at = now
            self._whole_at = {device: at for device, at in self._whole_at.items() if at > now}
