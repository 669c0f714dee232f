"""One stream of a device in virtual time: what its two ends say, and how each hears of the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from thinwire.common.values import FromCoordinator, FromDevice

if TYPE_CHECKING:
    from thinwire.sim.line import Line


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
        self._up_lost = False

    def say_up(self, word: FromDevice) -> None:
        """From the device; in flight until it arrives."""
        heard, size = self._line.pass_up(word)
        arrives_at = self._line.carry(self._up, size)

        def deliver() -> None:
            if self.at_coordinator and not self._up_lost:
                self._line.up_bytes += size
                self._line.arrived(heard)
                self._coordinator.heard(self, heard)

        for _ in range(self._line.copies(word)):
            self._line.agenda.at(arrives_at, deliver)

    def say_down(self, word: FromCoordinator) -> None:
        """From the coordinator; in flight until it arrives, and while the way down is held up."""
        heard, size = self._line.pass_down(word)

        def deliver() -> None:
            if self._line.agenda.now < self._line.held_up_until:
                self._line.agenda.at(self._line.held_up_until, deliver)
            elif self.at_device:
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

    def lose_up(self) -> None:
        """What is in flight upward never arrives."""
        self._up_lost = True

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
