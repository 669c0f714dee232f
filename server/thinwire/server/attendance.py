"""Whom a round waits for beside those who are here, and who has answered it and is gone.

A coordinator that was started again finds nobody connected, and the first device back is not the whole fleet: it waits
for all who took part in the newest version, or in the round that was begun, until they are back or a round's deadline
has passed. Who answered and left does not stand in for somebody who is here and has not.
"""

from __future__ import annotations

from collections.abc import Iterable


class Attendance:
    """Of the round under way; `awaited` and `absent` count devices."""

    def __init__(self) -> None:
        self._awaited: set[str] = set()
        self._absent: set[str] = set()

    @property
    def awaited(self) -> int:
        """Devices that are not here, and for which it waits all the same."""
        return len(self._awaited)

    @property
    def absent(self) -> int:
        """Devices that have answered, are not here and are not waited for."""
        return len(self._absent)

    def expect(self, devices: Iterable[str]) -> None:
        """The coordinator was started again; these took part before."""
        self._awaited = set(devices)

    def come(self, device: str) -> None:
        """It has subscribed."""
        self._awaited.discard(device)
        self._absent.discard(device)

    def go(self, device: str, *, answered: bool) -> None:
        """Its stream is gone."""
        if answered and device not in self._awaited:
            self._absent.add(device)

    def answer(self, device: str, *, live: bool) -> None:
        """A delta of it was accepted; it may not have subscribed yet."""
        self.go(device, answered=not live)

    def close(self, *, late: bool) -> None:
        """The round is over; one that its deadline has closed was the last to wait for who is not here."""
        self._absent.clear()
        if late:
            self._awaited.clear()
