"""A bad line for packets, as arithmetic: which packets arrive that are sent now, and when?

One `Wire` is one direction of a device's line. A packet that joins it

    is lost        while the line is cut, or by chance, with one chance in good times and another in bursts
    is refused     when the queue before the line holds more than `queue_s` of its rate (drop tail, as in a modem)
    departs        at max(now, departure of the one before) + 8 * size / rate
    arrives        delay + jitter later and never before the one before it, unless it is held back: then later by
                   `held_s` and behind packets that were sent after it
    arrives twice  by chance; the twin is as whole as the first

Bursts follow Gilbert (1960) and Elliott (1963): a chain of two states that may change at each packet.

Pure: times come in, dice are given, and the same seed loses the same packets.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class WireProfile:
    """One direction: seconds, bits a second, and chances from 0 to 1."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    rate_bps: float = 100e6
    queue_s: float = 0.25
    loss: float = 0.0
    # Chance that a burst begins at a packet, that it ends at one, and that a packet in it is lost.
    burst_begins: float = 0.0
    burst_ends: float = 1.0
    burst_loss: float = 0.0
    duplicate: float = 0.0
    # Chance that a packet is held back, and for how long.
    held: float = 0.0
    held_s: float = 0.02

    def __post_init__(self) -> None:
        for name in ("loss", "burst_begins", "burst_ends", "burst_loss", "duplicate", "held"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"a wire whose {name} is {getattr(self, name)}; it is a chance, from 0 to 1")
        if self.rate_bps <= 0 or min(self.delay_s, self.jitter_s, self.queue_s, self.held_s) < 0:
            raise ValueError(f"a wire with a rate of {self.rate_bps} bit/s or a time below 0; no line is like that")

    def __str__(self) -> str:
        told = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return ", ".join(f"{name} {value:g}" for name, value in told.items()) or "as it is"


class Wire:
    """Packets in, packets out."""

    def __init__(self, profile: WireProfile, dice: random.Random) -> None:
        self.profile, self._dice = profile, dice
        self.cut = False
        # What became of packets: "sent", "cut", "lost", "refused", "twin", "held", "delivered".
        self.counts: Counter[str] = Counter()
        self.bytes_delivered = 0
        self._burst = False
        self._departure = 0.0
        self._arrival = 0.0
        self._serial = itertools.count()
        self._under_way: list[tuple[float, int, bytes]] = []

    def send(self, packet: bytes, now: float) -> None:
        """Let a packet join the line."""
        self.counts["sent"] += 1
        if trouble := self._trouble(now):
            self.counts[trouble] += 1
            return
        p = self.profile
        self._departure = max(now, self._departure) + 8 * len(packet) / p.rate_bps
        arrival = self._departure + p.delay_s + self._dice.uniform(0.0, p.jitter_s)
        if self._chance(p.held):
            self.counts["held"] += 1
            arrival += p.held_s
        else:
            arrival = self._arrival = max(self._arrival, arrival)
        self._join(arrival, packet)
        if self._chance(p.duplicate):
            self.counts["twin"] += 1
            self._join(arrival, packet)

    def due(self, now: float) -> list[bytes]:
        """Packets that have arrived by now, in the order of their arrival."""
        arrived: list[bytes] = []
        while self._under_way and self._under_way[0][0] <= now:
            packet = heapq.heappop(self._under_way)[2]
            self.counts["delivered"] += 1
            self.bytes_delivered += len(packet)
            arrived.append(packet)
        return arrived

    @property
    def deadline(self) -> float | None:
        """When the next packet arrives; None when none is under way."""
        return self._under_way[0][0] if self._under_way else None

    def _trouble(self, now: float) -> str:
        p = self.profile
        self._burst = not self._chance(p.burst_ends) if self._burst else self._chance(p.burst_begins)
        if self.cut:
            return "cut"
        if self._chance(p.burst_loss if self._burst else p.loss):
            return "lost"
        return "refused" if self._departure - now > p.queue_s else ""

    def _join(self, arrival: float, packet: bytes) -> None:
        heapq.heappush(self._under_way, (arrival, next(self._serial), packet))

    def _chance(self, probability: float) -> bool:
        # No throw for what never happens: a profile with one more kind of trouble set to 0 keeps its history.
        return probability > 0 and self._dice.random() < probability


@dataclass(frozen=True, slots=True)
class LineProfile:
    """Both directions of a device's line."""

    name: str
    up: WireProfile
    down: WireProfile


def _both(name: str, profile: WireProfile) -> LineProfile:
    return LineProfile(name, profile, profile)


# Lines that devices at the edge have; a fleet takes them in turn.
LINES = (
    _both("wifi", WireProfile(delay_s=0.01, jitter_s=0.01, rate_bps=20e6, loss=0.02, held=0.01)),
    LineProfile(
        "lte",
        up=WireProfile(delay_s=0.05, jitter_s=0.03, rate_bps=2e6, loss=0.01, queue_s=0.5),
        down=WireProfile(delay_s=0.05, jitter_s=0.03, rate_bps=8e6, loss=0.01, queue_s=0.5),
    ),
    _both(
        "bursts",
        WireProfile(delay_s=0.04, rate_bps=2e6, loss=0.001, burst_begins=0.005, burst_ends=0.2, burst_loss=0.6),
    ),
    _both("repeats", WireProfile(delay_s=0.03, jitter_s=0.02, rate_bps=4e6, duplicate=0.1, held=0.1, held_s=0.05)),
    # Deltas come through, and most acknowledgements do not.
    LineProfile(
        "one-way",
        up=WireProfile(delay_s=0.03, rate_bps=4e6, loss=0.01),
        down=WireProfile(delay_s=0.03, rate_bps=4e6, loss=0.25),
    ),
    _both("lossy", WireProfile(delay_s=0.1, rate_bps=1e6, loss=0.05)),
    _both("satellite", WireProfile(delay_s=0.3, jitter_s=0.02, rate_bps=1e6, loss=0.01, queue_s=1.0)),
)


def lines_of(names: str) -> tuple[LineProfile, ...]:
    """The lines of "wifi,lte", or all of them for "mixed"; raise ValueError when there is no such line."""
    known = {line.name: line for line in LINES}
    chosen = list(known) if names == "mixed" else names.split(",")
    for name in chosen:
        if name not in known:
            raise ValueError(f'"{name[:40]}" is no line; known are {", ".join(known)}, and "mixed" for all in turn')
    return tuple(known[name] for name in chosen)
