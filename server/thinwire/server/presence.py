"""Who comes and goes while the disk is full: noted when there is room, for nothing is decided until then.

A device must not be kept waiting for that, so its Subscribed or Left is held here, the newest of each device. What is
noted late still comes before anything that the device does after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from thinwire.server.effects import Effect
from thinwire.server.events import DeltaSealed, Event, Greeted, Left, Subscribed


class Presence:
    """What is yet to be noted of devices; `note` begins to, and its task is done when all is carried out."""

    def __init__(self, room: asyncio.Event, note: Callable[[Subscribed | Left], asyncio.Task[list[Effect]]]) -> None:
        self._room, self._note = room, note
        self._held: dict[str, Subscribed | Left] = {}
        self._holding = asyncio.Event()

    def hold(self, event: Event) -> bool:
        """Whether this event is held until there is room; one that comes after another of its device is, too."""
        if not isinstance(event, Subscribed | Left) or (self._room.is_set() and event.device not in self._held):
            return False
        self._held[event.device] = event
        self._holding.set()
        return True

    def before(self, event: Event) -> None:
        """Begin to note what is held of the device, for this is what it did after it."""
        if isinstance(event, Greeted | DeltaSealed) and event.device in self._held:
            self._note(self._held.pop(event.device))

    async def keep_noting(self) -> None:
        """Note what is held whenever there is room, until cancelled."""
        while True:
            await self._holding.wait()
            self._holding.clear()
            await self._room.wait()
            # All at once, to share a sync; when the disk fills again meanwhile, they wait where every event does.
            noted = [self._note(event) for event in self._held.values()]
            self._held.clear()
            await asyncio.gather(*(asyncio.shield(task) for task in noted))
