"""A thin link as arithmetic: when do bytes arrive that are sent now?

A link has two lanes, one each way. A lane sends one byte after another at its rate, then each travels half
the round trip:

    departure = max(now, departure of the byte before) + 8 * size / rate
    arrival   = departure + rtt / 2 + jitter, never before that of the byte before

Pure: no clock, no socket and no dice of its own, so that the emulator and the simulator share it.
"""

import random
from dataclasses import dataclass

from thinwire.common.units import format_duration, format_rate, parse_duration, parse_rate

_EXAMPLE = '"200ms,2mbit", "200ms,2mbit,20ms" (with jitter) or "none"'


@dataclass(frozen=True, slots=True)
class LinkProfile:
    """A link's round trip, its rate each way, and how much longer a byte may take at random."""

    rtt_s: float
    rate_bps: float
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        if self.rtt_s < 0 or self.jitter_s < 0:
            raise ValueError(f"a link with a round trip of {self.rtt_s} s and a jitter of {self.jitter_s} s")
        if self.rate_bps <= 0:
            raise ValueError(f"a link with a rate of {self.rate_bps} bit/s; it must be above 0")

    def __str__(self) -> str:
        jitter = f",{format_duration(self.jitter_s)}" if self.jitter_s else ""
        return f"{format_duration(self.rtt_s)},{format_rate(self.rate_bps)}{jitter}"


def parse_link(text: str) -> LinkProfile | None:
    """Read "RTT,RATE[,JITTER]", or "none" for a link as it is; raise ValueError when it is neither."""
    if text.strip() == "none":
        return None
    rtt, *rest = text.split(",")
    if len(rest) not in (1, 2):
        raise ValueError(f'"{text[:80]}" is no link; write {_EXAMPLE}')
    jitter_s = parse_duration(rest[1]) if len(rest) == 2 else 0.0
    return LinkProfile(parse_duration(rtt), parse_rate(rest[0]), jitter_s)


class Lane:
    """One direction of a link, first in first out."""

    def __init__(self, profile: LinkProfile) -> None:
        self._profile = profile
        self._departure = 0.0
        self._arrival = 0.0

    def send(self, size_bytes: int, now: float, dice: random.Random) -> float:
        """When the last of `size_bytes` arrives that join the lane now."""
        self._departure = max(now, self._departure) + 8 * size_bytes / self._profile.rate_bps
        jitter_s = dice.uniform(0.0, self._profile.jitter_s) if self._profile.jitter_s else 0.0
        self._arrival = max(self._arrival, self._departure + self._profile.rtt_s / 2 + jitter_s)
        return self._arrival

    def wait_s(self, now: float) -> float:
        """How long a byte that joins now waits for those before it to depart."""
        return max(0.0, self._departure - now)
