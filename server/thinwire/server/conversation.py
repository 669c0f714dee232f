"""One device's stream, as the coordinator remembers it while it is open."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from thinwire.common.values import FromCoordinator, Report
from thinwire.server.feed import Feed


@dataclass(slots=True, eq=False)
class Conversation:
    """What the device is sent next, and a way to wake the writer that sends it."""

    device: str
    epoch: int
    feed: Feed
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    fenced: bool = False

    def tell(self, word: FromCoordinator) -> None:
        """Have this sent, before any further commit."""
        self.feed.tell(word)
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
            self.earlier_sent_bytes += self.report.wire_sent_bytes
            self.earlier_received_bytes += self.report.wire_received_bytes
        self.report = report

    @property
    def wire_sent_bytes(self) -> int:
        """Bytes that left on the device's sockets, over all its agents."""
        return self.earlier_sent_bytes + self.report.wire_sent_bytes

    @property
    def wire_received_bytes(self) -> int:
        """Bytes that came in on the device's sockets, over all its agents."""
        return self.earlier_received_bytes + self.report.wire_received_bytes
