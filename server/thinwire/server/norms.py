"""How long deltas, or statistics, usually are, so that what is none of this training at all is found.

    refused when |delta| > factor * median over other devices of the longest delta accepted from each

One number for each of the devices heard last, so that a device counts once however often it sends, and cannot move the
median by itself; and its longest delta, so that a fleet whose steps become small, as they do when it converges, never
takes one that comes back with long ones for a stranger. Statistics, which are averaged as they are, are counted by
themselves in the same way. It is a guard against values that would end the training, not
against a device that means harm within reason: for that there is aggregation.clip_norm.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

# So many devices are remembered, those heard last.
KEPT_DEVICES = 64
# Of fewer others nothing is concluded.
LEAST_OTHERS = 2


class Norms:
    """The longest accepted deltas, or statistics, of the newest devices; a pure function of what was accepted."""

    def __init__(self) -> None:
        self._longest: dict[str, float] = {}  # the device heard last is last

    def see(self, device: str, norm: float) -> None:
        """A delta of this device was accepted."""
        self._longest[device] = max(norm, self._longest.pop(device, 0.0))
        if len(self._longest) > KEPT_DEVICES:
            del self._longest[next(iter(self._longest))]

    def usual(self, device: str) -> float | None:
        """What others' deltas are like; None where too little is known."""
        others = [norm for name, norm in self._longest.items() if name != device]
        return statistics.median(others) or None if len(others) >= LEAST_OTHERS else None

    def dump(self) -> list[tuple[str, float]]:
        """Device and norm, the one heard last at the end."""
        return list(self._longest.items())

    def load(self, rows: Iterable[tuple[str, float]]) -> None:
        """Go on from what was dumped."""
        self._longest = dict(rows)
