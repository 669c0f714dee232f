"""A device's link with every fault that a stream lets through: words in order, or none any more.

Within one stream gRPC keeps the order, loses nothing and repeats nothing; so what can go wrong is where it ends. When
it breaks, what was in flight may be lost on both ways, or arrive at the coordinator all the same, long after the
device has given the stream up (and has, perhaps, opened another). An answer may be held up while words upward get
through. And a whole delta may be said twice.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from thinwire.common import wire
from thinwire.common.link import Lane, LinkProfile
from thinwire.common.values import FromCoordinator, FromDevice
from thinwire.sim.agenda import Agenda
from thinwire.sim.call import Call, CoordinatorEnd, DeviceEnd
from thinwire.sim.line import Arrived, Line
from thinwire.sim.scenario import Device


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a link does: seconds one way, how they vary, whether words pass through their wire form, and twice."""

    delay_s: float = 0.05
    jitter_s: float = 0.0
    on_the_wire: bool = False
    stammer: float = 0.0


class Way(Lane):
    """One direction of such a link: never too narrow, and in order whatever the jitter."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(LinkProfile(2 * trouble.delay_s, math.inf, trouble.jitter_s))

    def send(self, size_bytes: int, now: float, dice: random.Random) -> float:
        """When a word arrives that is said now; the dice are thrown for each word, jitter or not."""
        profile = self._profile
        self._arrival = max(self._arrival, now + profile.rtt_s / 2 + profile.jitter_s * dice.random())
        return self._arrival


class TroubledLine(Line):
    """The link itself, from stream to stream; `reachable` says whether anybody listens at the other end."""

    def __init__(
        self, agenda: Agenda, trouble: Trouble, dice: random.Random, reachable: Callable[[], bool], arrived: Arrived
    ) -> None:
        super().__init__(agenda, Device(stammer=trouble.stammer), dice, arrived)
        self._trouble, self._reachable = trouble, reachable

    def dial(self, device: DeviceEnd, coordinator: CoordinatorEnd) -> Call | None:
        """A new stream, or None while the link is broken or nobody answers."""
        return super().dial(device, coordinator) if self._reachable() else None

    def break_for(self, seconds: float, notice_s: float, *, up_lost: bool = True) -> None:
        """No stream for so long; what was said upward may arrive until the coordinator notices, if it is not lost."""
        call = self._interrupt(seconds)
        if call is None:
            return
        if up_lost:
            call.lose_up()
        # Not at once: who breaks it may be the device itself, which is going down.
        self.agenda.soon(lambda: call.lose_at_device("the link broke"))
        self.agenda.at(self.agenda.now + notice_s, call.lose_at_coordinator)

    def hold_up_down(self, seconds: float) -> None:
        """Words upward get through, and no answer does, for so long; then they all come."""
        self.held_up_until = max(self.held_up_until, self.agenda.now + seconds)

    def lane(self, *, up: bool) -> Lane:
        """One direction of a new stream."""
        return Way(self._trouble)

    def pass_up(self, word: FromDevice) -> tuple[FromDevice, int]:
        """A word as the other end reads it; nobody counts bytes here."""
        return (wire.from_request(wire.request(word)) if self._trouble.on_the_wire else word), 0

    def pass_down(self, word: FromCoordinator) -> tuple[FromCoordinator, int]:
        """A word as the other end reads it; nobody counts bytes here."""
        return (wire.from_response(wire.response(word)) if self._trouble.on_the_wire else word), 0
