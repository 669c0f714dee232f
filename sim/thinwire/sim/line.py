"""One device's link in virtual time. Words arrive when `thinwire.common.link` says; a break loses what is in flight.

Every word goes through its protobuf form, so sizes are those of the wire and nothing passes that the wire would refuse.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from thinwire.common import wire
from thinwire.common.link import Lane
from thinwire.common.values import DeltaChunk, FromCoordinator, FromDevice
from thinwire.sim import memo
from thinwire.sim.agenda import Agenda
from thinwire.sim.call import Call, CoordinatorEnd, DeviceEnd
from thinwire.sim.loss import LossyLane
from thinwire.sim.scenario import Device

# gRPC's own frame around each message.
FRAME_BYTES = 5

Arrived = Callable[[FromDevice | FromCoordinator], None]


class Line:
    """The link itself, from call to call; `description` is of its device, `arrived` hears of every word."""

    held_up_until = 0.0  # until when no answer gets through

    def __init__(self, agenda: Agenda, description: Device, dice: random.Random, arrived: Arrived) -> None:
        self.agenda, self.arrived = agenda, arrived
        self.up_bytes = self.down_bytes = 0
        self._description, self._dice = description, dice
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
        call = self._interrupt(seconds)
        if call is not None:
            call.lose_up()
            call.lose_at_device("the link broke")
            self.agenda.at(self.agenda.now + notice_s, call.lose_at_coordinator)

    def _interrupt(self, seconds: float) -> Call | None:
        """No stream for so long; give the one that there was."""
        self._broken_until = max(self._broken_until, self.agenda.now + seconds)
        call, self._call = self._call, None
        return call

    def lane(self, *, up: bool) -> Lane | None:
        """One direction of a new stream; None is one without delay."""
        description = self._description
        profile = description.link if up else description.link_down or description.link
        if profile is None:
            return None
        return LossyLane(profile, description.loss) if description.loss else Lane(profile)

    def carry(self, lane: Lane | None, size_bytes: int) -> float:
        """When the last byte arrives of a word that is said now."""
        return lane.send(size_bytes, self.agenda.now, self._dice) if lane else self.agenda.now

    def copies(self, word: FromDevice) -> int:
        """How often a word arrives: twice if it is a whole delta and the device stammers."""
        whole = isinstance(word, DeltaChunk) and word.header is not None and word.end
        return 2 if whole and self._dice.random() < self._description.stammer else 1

    def pass_up(self, word: FromDevice) -> tuple[FromDevice, int]:
        """A word as the other end reads it, and its size on the wire."""
        message = wire.request(word)
        return wire.from_request(message), message.ByteSize() + FRAME_BYTES

    def pass_down(self, word: FromCoordinator) -> tuple[FromCoordinator, int]:
        """A word as the other end reads it, and its size on the wire."""
        size, heard = memo.carried(word)
        return heard, size + FRAME_BYTES
