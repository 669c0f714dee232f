"""One device's stream, as the coordinator remembers it while it is open."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, fields, replace
from typing import Any

from thinwire.common.values import FromCoordinator, Refusal, Report
from thinwire.server.feed import Feed

# More than a device sends, or lives, in a century. What is above would overflow the sums that operators read.
MOST_BYTES = 1 << 50
MOST_SECONDS = 4e9


@dataclass(slots=True, eq=False)
class Conversation:
    """What the device is sent next, and a way to wake the writer that sends it."""

    device: str
    epoch: int
    feed: Feed
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ending: Refusal | None = None  # the last word, which its writer says between two others

    def tell(self, word: FromCoordinator) -> None:
        """Have this sent, before any further commit."""
        self.feed.tell(word)
        self.wake.set()

    def end(self, refusal: Refusal) -> None:
        """Have this be the last word; the first reason stands."""
        self.ending = self.ending or refusal
        self.wake.set()


@dataclass(slots=True)
class DeviceRecord:
    """What outlives a stream: the last report, and traces of earlier agents' reports."""

    report: Report = field(default_factory=Report)
    version: int = 0
    seen_at: float = field(default_factory=time.monotonic)
    earlier_sent_bytes: int = 0
    earlier_received_bytes: int = 0

    def take(self, report: Report) -> None:
        """Keep a report; an agent that was restarted counts from zero again, so what it had is set aside."""
        if report.wire_sent_bytes < self.report.wire_sent_bytes:
            self.earlier_sent_bytes = min(MOST_BYTES, self.wire_sent_bytes)
            self.earlier_received_bytes = min(MOST_BYTES, self.wire_received_bytes)
        self.report = report

    @property
    def wire_sent_bytes(self) -> int:
        """Bytes that left on the device's sockets, over all its agents."""
        return self.earlier_sent_bytes + self.report.wire_sent_bytes

    @property
    def wire_received_bytes(self) -> int:
        """Bytes that came in on the device's sockets, over all its agents."""
        return self.earlier_received_bytes + self.report.wire_received_bytes


def plausible(report: Report) -> Report:
    """A device's own figures, without those that cannot be; a device may be broken, or lie."""
    names = [field.name for field in fields(Report)]
    bounded: dict[str, Any] = {name: _bounded(name, getattr(report, name)) for name in names}
    possible = replace(report, **bounded)
    return replace(possible, hidden_s=min(possible.hidden_s, possible.transfer_s))


def _bounded(name: str, figure: float) -> float:
    if name in ("version", "checksum", "has_checksum", "storage_refused"):
        return figure
    # Not a number is within nothing.
    return figure if 0 <= figure <= (MOST_SECONDS if name.endswith("_s") else MOST_BYTES) else 0
