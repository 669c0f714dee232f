"""Who comes and goes without room to note it: the newest word of each device, before anything else that it does."""

import asyncio

import pytest
from disk_story import reached

from thinwire.server.effects import Effect
from thinwire.server.events import Event, Greeted, Left, Subscribed
from thinwire.server.presence import Presence


class Notes:
    """What was noted, in which order."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.presence = Presence(self.room, self.note)
        self.noted: list[Event] = []

    def note(self, event: Event) -> asyncio.Task[list[Effect]]:
        self.noted.append(event)
        return asyncio.create_task(_carried_out())


async def _carried_out() -> list[Effect]:
    return []


@pytest.fixture
async def notes() -> Notes:
    """There is no room."""
    return Notes()


async def test_with_room_nothing_is_held(notes: Notes) -> None:
    notes.room.set()
    assert not notes.presence.hold(Left("oak"))


async def test_only_who_comes_and_goes_is_held(notes: Notes) -> None:
    assert not notes.presence.hold(Greeted("oak", 0))
    assert notes.presence.hold(Subscribed("oak", 1))


async def test_of_each_device_the_newest_is_noted_when_there_is_room(notes: Notes) -> None:
    keeping = asyncio.create_task(notes.presence.keep_noting())
    for event in (Subscribed("oak", 1), Left("elm"), Left("oak")):
        assert notes.presence.hold(event)
    await asyncio.sleep(0)
    assert notes.noted == []
    notes.room.set()
    await reached(lambda: notes.noted)
    assert notes.noted == [Left("oak"), Left("elm")]
    keeping.cancel()


async def test_what_came_while_another_waited_does_not_overtake_it(notes: Notes) -> None:
    notes.presence.hold(Left("oak"))
    notes.room.set()
    assert notes.presence.hold(Subscribed("oak", 1)), "the room is there, but the first is not noted yet"


async def test_a_device_that_does_something_is_noted_first_and_once(notes: Notes) -> None:
    notes.presence.hold(Subscribed("oak", 1))
    notes.presence.before(Greeted("elm", 0))
    assert notes.noted == []
    notes.presence.before(Greeted("oak", 0))
    notes.presence.before(Greeted("oak", 0))
    assert notes.noted == [Subscribed("oak", 1)]
