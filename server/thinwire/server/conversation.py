"""One device's stream, as the coordinator remembers it while it is open."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from thinwire.common.values import FromCoordinator, Report

# What a device may leave unread before its stream is given up; commits are not among these.
MAX_WAITING_WORDS = 4096


@dataclass(slots=True, eq=False)
class Conversation:
    """Words that wait for the device, and where it stands in the log of commits."""

    device: str
    epoch: int
    words: deque[FromCoordinator] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    subscribed: bool = False
    cursor: int | None = None  # the version it was last sent; None for no model at all
    resume: tuple[int, int] = (0, 0)  # snapshot version and bytes that it already has
    told_finish: bool = False
    fenced: bool = False

    def tell(self, word: FromCoordinator) -> None:
        """Have this sent, before any further commit."""
        if len(self.words) < MAX_WAITING_WORDS:
            self.words.append(word)
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
