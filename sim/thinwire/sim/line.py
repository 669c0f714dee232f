"""One device's link in virtual time. Words arrive when `thinwire.common.link` says; a break loses what is in flight.

Every word goes through its protobuf form, so sizes are those of the wire and nothing passes that the wire would refuse.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from thinwire.common import wire
from thinwire.common.link import Lane
from thinwire.common.values import DeltaChunk, FromCoordinator, FromDevice
from thinwire.sim import memo
from thinwire.sim.agenda import Agenda
from thinwire.sim.loss import LossyLane
from thinwire.sim.scenario import Device

# gRPC's own frame around each message.
FRAME_BYTES = 5


class DeviceEnd(Protocol):
    """Who hears the coordinator's words."""

    def heard(self, call: Call, word: FromCoordinator) -> None:
        """A word came in."""

    def closed(self, call: Call, reason: str) -> None:
        """The stream is gone."""


class CoordinatorEnd(Protocol):
    """Who hears the device's words."""

    def heard(self, call: Call, word: FromDevice) -> None:
        """A word came in."""

    def closed(self, call: Call) -> None:
        """The stream is gone."""


class Call:
    """One stream. After its end at one side, that side says and hears nothing more."""

    def __init__(self, line: Line, device: DeviceEnd, coordinator: CoordinatorEnd) -> None:
        self._line, self._device, self._coordinator = line, device, coordinator
        self._up, self._down = line.lane(up=True), line.lane(up=False)
        self.at_device = self.at_coordinator = True
        self._severed = False

    def say_up(self, word: FromDevice) -> None:
        """From the device; in flight until it arrives."""
        message = wire.request(word)
        size = message.ByteSize() + FRAME_BYTES
        arrives_at = self._line.carry(self._up, size)

        def deliver() -> None:
            if self.at_coordinator and not self._severed:
                self._line.up_bytes += size
                heard = wire.from_request(message)
                self._line.arrived(heard)
                self._coordinator.heard(self, heard)

        for _ in range(self._line.copies(word)):
            self._line.agenda.at(arrives_at, deliver)

    def say_down(self, word: FromCoordinator) -> None:
        """From the coordinator; in flight until it arrives."""
        bare, heard = memo.carried(word)
        size = bare + FRAME_BYTES

        def deliver() -> None:
            if self.at_device:
                self._line.down_bytes += size
                self._line.arrived(heard)
                self._device.heard(self, heard)

        self._line.agenda.at(self._line.carry(self._down, size), deliver)

    def free_down_at(self) -> float:
        """When the next word down would depart at once."""
        now = self._line.agenda.now
        return now + self._down.wait_s(now) if self._down else now

    def hang_up(self) -> None:
        """The device ends it; the coordinator hears of that when everything said before has arrived."""
        self.at_device = False
        self._line.agenda.at(self._line.carry(self._up, 0), self.lose_at_coordinator)

    def refuse(self) -> None:
        """The coordinator ends it; the device hears of that when everything said before has arrived."""
        self.at_coordinator = False
        self._line.agenda.at(
            self._line.carry(self._down, 0), lambda: self.lose_at_device("the coordinator ended the stream")
        )

    def sever(self, notice_s: float) -> None:
        """The link is gone, with all that is in flight."""
        self._severed = True
        self.lose_at_device("the link broke")
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


class Line:
    """The link itself, from call to call."""

    def __init__(
        self,
        agenda: Agenda,
        device: Device,
        dice: random.Random,
        arrived: Callable[[FromDevice | FromCoordinator], None],
    ) -> None:
        self.agenda, self.arrived = agenda, arrived
        self.up_bytes = self.down_bytes = 0
        self._device, self._dice = device, dice
        self._broken_until = 0.0
        self._call: Call | None = None

    def dial(self, device: DeviceEnd, coordinator: CoordinatorEnd) -> Call | None:
        """A new stream, or None while the link is broken."""
        if self.agenda.now < self._broken_until:
            return None
        self._call = Call(self, device, coordinator)
        return self._call

    def break_for(self, seconds: float, notice_s: float) -> None:
        """Lose everything in flight; the device notices at once, the coordinator after `notice_s`."""
        self._broken_until = max(self._broken_until, self.agenda.now + seconds)
        call, self._call = self._call, None
        if call is not None:
            call.sever(notice_s)

    def lane(self, *, up: bool) -> Lane | None:
        """One direction of a new stream; None is one without delay."""
        device = self._device
        profile = device.link if up else device.link_down or device.link
        if profile is None:
            return None
        return LossyLane(profile, device.loss) if device.loss else Lane(profile)

    def carry(self, lane: Lane | None, size_bytes: int) -> float:
        """When the last byte arrives of a word that is said now."""
        return lane.send(size_bytes, self.agenda.now, self._dice) if lane else self.agenda.now

    def copies(self, word: FromDevice) -> int:
        """How often a word arrives: twice if it is a whole delta and the device stammers."""
        whole = isinstance(word, DeltaChunk) and word.header is not None and word.end
        return 2 if whole and self._dice.random() < self._device.stammer else 1
