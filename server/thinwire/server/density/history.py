"""What the devices told of their training, window by window.

A window is over, at a commit, once the devices that took part in it have sent `length` deltas each on average: so many
rounds, however large a commit's buffer is, and devices that are away do not stretch it.

A device is compared with itself alone: a mean over all would move with whoever happened to send.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

# A loss this far from its own size before is no loss that fell or rose, but a broken or a lying device.
WILDEST_GAIN = 1.0
TINY = 1e-12
# Of normal values: their deviation over their median deviation, times the error of a median over that of a mean.
MEDIAN_ERROR = 1.4826 * 1.2533
SMOOTH = 0.5  # weight of a device's newest delta in its mean of unsent energy


class Account(msgspec.Struct, kw_only=True):
    """One device: its share, and what it told in this window and the one before."""

    share: float
    deltas: int = 0
    sent: float = 1.0  # share of the parameters in the newest
    most: float = 1.0  # the largest rate that sends as many values as the newest has
    away: int = 0  # windows in which it sent nothing
    told: int = 0  # of these, with a loss
    loss: float = 0.0  # sum over `told`
    before: float | None = None  # mean loss of the window before
    energy: float = 0.0  # smoothed, of all that could have been sent
    unsent: float = 0.0  # smoothed, of what was not

    def add(self, share: float, loss: float | None, sent: float) -> None:
        """One more delta."""
        self.share, self.deltas, self.sent = share, self.deltas + 1, sent
        if loss is not None:
            self.told, self.loss = self.told + 1, self.loss + loss

    def weigh(self, energy: float, sent: float) -> None:
        """The energy of a delta, before and after its selection."""
        weight = SMOOTH if self.energy else 1.0
        self.energy += weight * (energy - self.energy)
        self.unsent += weight * (max(0.0, energy - sent) - self.unsent)

    def close(self) -> float | None:
        """The gain since the window before, if the device took part in both; the next window begins."""
        now = self.loss / self.told if self.told else None
        before, self.before = self.before, now
        self.away = 0 if self.deltas else self.away + 1
        self.deltas, self.told, self.loss = 0, 0, 0.0
        if before is None or now is None:
            return None
        gain = (before - now) / max(abs(before), TINY)
        return max(-WILDEST_GAIN, min(gain, WILDEST_GAIN))


def full(accounts: Iterable[Account], length: int) -> bool:
    """Whether a window is over."""
    counts = [account.deltas for account in accounts if account.deltas]
    return bool(counts) and sum(counts) >= length * len(counts)


def doubt_of(weighed: Iterable[tuple[float, float]], middle: float) -> float:
    """How far off the median of (value, weight) may be, by how much the values disagree: one standard error.

    By the median deviation, so one device that lies moves this no more than the median; of one device nothing is known.
    """
    ordered = list(weighed)
    deviation = weighted_median((abs(value - middle), weight) for value, weight in ordered) or 0.0
    return MEDIAN_ERROR * deviation / math.sqrt(len(ordered)) if ordered else 0.0


def weighted_median(weighed: Iterable[tuple[float, float]]) -> float | None:
    """The lowest value at which half of the weight is reached, of (value, weight); None of nothing.

    One device that lies cannot move it beyond what the others say. Between two halves the lower gain wins: in doubt
    more is sent.
    """
    ordered = sorted(weighed)
    half, reached = math.fsum(weight for _, weight in ordered) / 2, 0.0
    for value, weight in ordered:
        reached += weight
        if reached >= half:
            return value
    return None
