"""The largest density that a device's own link carries: hidden behind its local steps, within its data budget.

While a device computes the steps of its next delta, its uplink has `local_steps * step_s` seconds for the one before.
So the most that hides is

    density <= 0.8 * goodput * local_steps * step_s / (bytes a value * parameters)

Round trips do not count: several deltas may be under way, and the correction pays for their delay. The other policy's
density is the upper bound, `least` the lower. A data budget is harder than either: what is left of the day's bytes,
less what commits will take, is spread evenly over the rest of the day.

What is here comes from reports, which are in no journal. Until a device has reported and sent, its bound is none; after
a restart of the coordinator it is what the device sent last, which a journal does hold. A day begins with the device's
first report.
"""

from __future__ import annotations

from dataclasses import dataclass

HEADROOM = 0.8  # of the time: the rest is for jitter, and for losses that are sent again
# Small deltas yield no new figure of goodput: with each report that has none the bound grows, or a link that got better
# would stay unknown.
GROWTH, MOST_GROWTHS = 1.05, 100
CHANGE = 0.1  # relative; a device is not bothered with less
SMOOTH = 0.3  # weight of the newest delta in the bytes a value
DAY_S, HOUR_S, MINUTE_S = 86_400.0, 3_600.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRules:
    """The lowest density that a link may ask for, and what a device may send and receive in a day (0 for no limit)."""

    least: float = 0.01
    budget_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSeen:
    """What a device reports: bytes a second upward (0 when not measured), seconds a step (0), bytes on its sockets."""

    goodput: float
    step_s: float
    sent_bytes: int
    received_bytes: int


@dataclass(slots=True)
class _Link:
    value_bytes: float = 0.0
    goodput: float = 0.0
    step_s: float = 0.0
    before: float = 0.0  # density that it had under the coordinator before this one; 0 for its own choice
    growths: int = 0
    delivered: bool = False  # something, since the last report
    day_at: float = 0.0
    first: LinkSeen | None = None  # report of the day
    allowance: float | None = None  # bytes of a delta within the budget
    given: float = 0.0


class LinkAware:
    """A bound for each device."""

    def __init__(self, rules: LinkRules, *, parameters: int, local_steps: int) -> None:
        self._least, self._budget_bytes = rules.least, rules.budget_bytes
        self._parameters, self._local_steps = parameters, local_steps
        self._links: dict[str, _Link] = {}

    def go_on(self, device: str, density: float) -> None:
        """The coordinator was started again, and this is what the device's link carried before."""
        self._link(device).before = density

    def see_delta(self, device: str, kept: int, packed_bytes: int) -> None:
        """A delta was admitted: learn what a value costs."""
        link = self._link(device)
        fresh = packed_bytes / max(kept, 1)
        link.value_bytes += (SMOOTH if link.value_bytes else 1.0) * (fresh - link.value_bytes)
        link.delivered = True

    def see_report(self, device: str, seen: LinkSeen, now: float) -> None:
        """A device's own figures, at loop time `now`; its counters must only grow."""
        link = self._link(device)
        if seen.goodput != link.goodput:
            link.goodput, link.growths = seen.goodput, 0
        elif link.delivered:
            link.growths = min(link.growths + 1, MOST_GROWTHS)
        link.delivered = False
        link.step_s = seen.step_s or link.step_s
        if self._budget_bytes:
            self._spread(link, seen, now)

    def bound(self, device: str, density: float) -> float:
        """The density that this device shall use, of the one that the policy gives."""
        link = self._links.get(device)
        if link is None:
            return density
        wanted = min(density, max(self._least, self._carried(link)))
        if link.allowance is not None and link.value_bytes:
            wanted = min(wanted, max(1 / self._parameters, self._density(link, link.allowance)))
        if link.given > density or abs(wanted - link.given) > CHANGE * link.given:
            link.given = wanted
        return link.given

    def _link(self, device: str) -> _Link:
        return self._links.setdefault(device, _Link())

    def _density(self, link: _Link, size_bytes: float) -> float:
        return size_bytes / (link.value_bytes * self._parameters)

    def _carried(self, link: _Link) -> float:
        if not (link.goodput and link.step_s and link.value_bytes):
            return (link.before or float("inf")) * GROWTH**link.growths
        hidden = HEADROOM * link.goodput * self._local_steps * link.step_s
        return self._density(link, hidden * GROWTH**link.growths)

    def _spread(self, link: _Link, seen: LinkSeen, now: float) -> None:
        if link.first is None or now - link.day_at >= DAY_S:
            link.first, link.day_at = seen, now
        passed_s = now - link.day_at
        sent, received = seen.sent_bytes - link.first.sent_bytes, seen.received_bytes - link.first.received_bytes
        left_a_second = (self._budget_bytes - sent - received) / max(DAY_S - passed_s, HOUR_S)
        # In its first minute a day has no pace yet.
        down_a_second = received / passed_s if passed_s >= MINUTE_S else 0.0
        cut_s = self._local_steps * link.step_s
        link.allowance = max(0.0, left_a_second - down_a_second) * cut_s if cut_s else None
