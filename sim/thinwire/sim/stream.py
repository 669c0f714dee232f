"""A device's link with every fault that a stream lets through: words in order, or none any more.

Within one stream gRPC keeps the order, loses nothing and repeats nothing; so what can go wrong is where it ends. When
it breaks, what was in flight may be lost on both ways, or arrive at the coordinator all the same, long after the
device has given the stream up (and has, perhaps, opened another). An answer may be held up while words upward get
through. And a whole delta may be said twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from thinwire.common import wire
from thinwire.common.values import DeltaChunk, FromCoordinator, FromDevice
from thinwire.sim.agenda import Agenda

Arrived = Callable[[FromDevice | FromCoordinator], None]


class DeviceEnd(Protocol):
    """Who hears the coordinator's words."""

    def heard(self, call: Stream, word: FromCoordinator) -> None:
        """A word came in."""

    def closed(self, call: Stream, reason: str) -> None:
        """The stream is gone."""


class CoordinatorEnd(Protocol):
    """Who hears the device's words."""

    def heard(self, call: Stream, word: FromDevice) -> None:
        """A word came in."""

    def closed(self, call: Stream) -> None:
        """The stream is gone."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a link does: seconds one way, how they vary, whether words pass through their wire form, and twice."""

    delay_s: float = 0.05
    jitter_s: float = 0.0
    on_the_wire: bool = False
    stammer: float = 0.0


class Stream:
    """One stream; see thinwire.sim.line.Call for its two ends."""

    def __init__(self, line: TroubledLine, device: DeviceEnd, coordinator: CoordinatorEnd) -> None:
        self._line, self._device, self._coordinator = line, device, coordinator
        self.at_device = self.at_coordinator = True
        self._up_lost = False
        self._up_at = self._down_at = line.agenda.now

    def say_up(self, word: FromDevice) -> None:
        """From the device; in flight until it arrives."""
        heard = self._line.pass_up(word)

        def deliver() -> None:
            if self.at_coordinator and not self._up_lost:
                self._line.arrived(heard)
                self._coordinator.heard(self, heard)

        self._up_at = self._line.arrival(self._up_at)
        for _ in range(self._line.copies(word)):
            self._line.agenda.at(self._up_at, deliver)

    def say_down(self, word: FromCoordinator) -> None:
        """From the coordinator; in flight until it arrives, or for ever while the way down is held up."""
        heard = self._line.pass_down(word)

        def deliver() -> None:
            if self._line.agenda.now < self._line.held_up_until:
                self._line.agenda.at(self._line.held_up_until, deliver)
            elif self.at_device:
                self._line.arrived(heard)
                self._device.heard(self, heard)

        self._down_at = self._line.arrival(self._down_at)
        self._line.agenda.at(self._down_at, deliver)

    def free_down_at(self) -> float:
        """The way is never too narrow here."""
        return self._line.agenda.now

    def hang_up(self) -> None:
        """The device ends it."""
        self.at_device = False
        self._line.agenda.at(self._line.arrival(self._up_at), self.lose_at_coordinator)

    def refuse(self) -> None:
        """The coordinator ends it."""
        self.at_coordinator = False
        self._line.agenda.at(self._line.arrival(self._down_at), lambda: self.lose_at_device("it was ended"))

    def sever(self, notice_s: float, *, up_lost: bool) -> None:
        """The link is gone."""
        self._up_lost = up_lost
        self._line.agenda.soon(lambda: self.lose_at_device("the link broke"))
        self._line.agenda.at(self._line.agenda.now + notice_s, self.lose_at_coordinator)

    def lose_at_device(self, reason: str) -> None:
        """The device notices that the stream is gone."""
        if self.at_device:
            self.at_device = False
            self._device.closed(self, reason)

    def lose_at_coordinator(self) -> None:
        """The coordinator notices that the stream is gone."""
        if self.at_coordinator:
            self.at_coordinator = False
            self._coordinator.closed(self)


class TroubledLine:
    """The link itself, from stream to stream; `reachable` says whether anybody listens at the other end."""

    up_bytes = down_bytes = 0

    def __init__(
        self, agenda: Agenda, trouble: Trouble, dice: random.Random, reachable: Callable[[], bool], arrived: Arrived
    ) -> None:
        self.agenda, self.arrived = agenda, arrived
        self.held_up_until = 0.0
        self._trouble, self._dice, self._reachable = trouble, dice, reachable
        self._broken_until = 0.0
        self._stream: Stream | None = None

    def dial(self, device: DeviceEnd, coordinator: CoordinatorEnd) -> Stream | None:
        """A new stream, or None while the link is broken or nobody answers."""
        if self.agenda.now < self._broken_until or not self._reachable():
            return None
        self._stream = Stream(self, device, coordinator)
        return self._stream

    def break_for(self, seconds: float, notice_s: float, *, up_lost: bool = True) -> None:
        """No stream for so long; the coordinator notices `notice_s` after the device."""
        self._broken_until = max(self._broken_until, self.agenda.now + seconds)
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.sever(notice_s, up_lost=up_lost)

    def hold_up_down(self, seconds: float) -> None:
        """Words upward get through, and no answer does, for so long; then they all come."""
        self.held_up_until = max(self.held_up_until, self.agenda.now + seconds)

    def arrival(self, last: float) -> float:
        """When a word that is said now arrives; never before the one said before it."""
        trouble = self._trouble
        return max(last, self.agenda.now + trouble.delay_s + trouble.jitter_s * self._dice.random())

    def copies(self, word: FromDevice) -> int:
        """How often a word arrives: twice if it is a whole delta and the device stammers."""
        whole = isinstance(word, DeltaChunk) and word.header is not None and word.end
        return 2 if whole and self._dice.random() < self._trouble.stammer else 1

    def pass_up(self, word: FromDevice) -> FromDevice:
        """A word as the other end reads it."""
        return wire.from_request(wire.request(word)) if self._trouble.on_the_wire else word

    def pass_down(self, word: FromCoordinator) -> FromCoordinator:
        """A word as the other end reads it."""
        return wire.from_response(wire.response(word)) if self._trouble.on_the_wire else word
