"""What happens to devices while the disk is full is noted later: in its order, and each is told what became of it."""

import asyncio

import pytest
from disk_story import NOBODY, delta, hello, reached, with_fleet

from thinwire.common.values import RefusalReason, Subscribe
from thinwire.server import safety
from thinwire.server.effects import Effect, Settled
from thinwire.server.events import Event, Greeted, Left, Subscribed
from thinwire.server.service import FleetService, RefusedError
from thinwire.server.staging import Staging
from thinwire.sim.disk import SimFolder


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is looked at again at once."""
    monkeypatch.setattr(safety, "ROOM_EVERY_S", 0.001)


async def test_what_is_noted_late_still_comes_before_what_the_device_did_after_it(folder: SimFolder) -> None:
    coordinator = await with_fleet(folder)
    await coordinator.submit(Greeted("ash", 0))
    running = asyncio.create_task(coordinator.run())
    folder.full = True
    telling = asyncio.create_task(coordinator.submit(delta("elm", 1)))
    await reached(lambda: coordinator.safety.full)
    assert await coordinator.submit(Subscribed("ash", 1)) == []
    sending = asyncio.create_task(coordinator.submit(delta("ash", 1)))
    folder.full = False
    [settled, *_], _ = await asyncio.gather(sending, telling)
    assert isinstance(settled, Settled), "it had subscribed"
    running.cancel()
    await coordinator.close()


@pytest.mark.parametrize("what_comes", ["room", "a delta"])
async def test_who_may_not_subscribe_as_it_did_on_a_full_disk_is_told_so_and_its_stream_ends(
    folder: SimFolder, what_comes: str
) -> None:
    coordinator = await with_fleet(folder)
    running = asyncio.create_task(coordinator.run())
    service = FleetService(coordinator, Staging(1000, 1000), max_devices=9, tls=False)
    session = await service._greet(hello("oak"), NOBODY)
    for examples in range(2, 32 + 1):
        await coordinator.submit(Subscribed("oak", examples))
    folder.full = True
    telling = [asyncio.create_task(coordinator.submit(delta("elm", 1)))]
    await reached(lambda: coordinator.safety.full)
    await service._subscribe(session, Subscribe(has_base=True, examples=999))
    if what_comes == "a delta":
        telling.append(asyncio.create_task(coordinator.submit(delta("oak", 3))))
    folder.full = False
    await reached(lambda: session.ending is not None)
    assert session.ending is not None
    assert session.ending.reason is RefusalReason.RATE_LIMITED
    assert 0 < session.ending.retry_after_s <= 20
    await asyncio.gather(*telling)
    assert coordinator.core.roster.members["oak"].examples == 32
    running.cancel()
    await coordinator.close()


async def test_who_is_refused_as_it_subscribes_is_sent_no_model_first(folder: SimFolder) -> None:
    coordinator = await with_fleet(folder)
    service = FleetService(coordinator, Staging(1000, 1000), max_devices=9, tls=False)
    session = await service._greet(hello("oak"), NOBODY)
    for examples in range(2, 32 + 1):
        await coordinator.submit(Subscribed("oak", examples))
    with pytest.raises(RefusedError, match="changes its number of examples too often") as refused:
        await service._subscribe(session, Subscribe(has_base=True, examples=999))
    assert 0 < refused.value.refusal.retry_after_s <= 20
    assert not session.feed.subscribed
    await coordinator.close()


async def test_who_left_on_a_full_disk_that_fills_again_while_it_is_noted_is_not_forgotten(
    folder: SimFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = await with_fleet(folder)
    running = asyncio.create_task(coordinator.run())
    folder.full = True
    telling = [asyncio.create_task(coordinator.submit(delta("elm", 1)))]
    await reached(lambda: coordinator.safety.full)
    for device in ("oak", "elm"):
        assert await coordinator.submit(Left(device)) == []
    whole = coordinator._handle

    async def handle(event: Event) -> list[Effect]:
        told = await whole(event)
        if event == Left("oak"):
            folder.full = True
            telling.append(coordinator._begin(delta("elm", 2)))
            await reached(lambda: coordinator.safety.full)
        return told

    monkeypatch.setattr(coordinator, "_handle", handle)
    folder.full = False
    await reached(lambda: len(telling) == 2 and coordinator.safety.full)
    folder.full = False
    await reached(lambda: coordinator.core.roster.live == 0)
    await asyncio.gather(*telling)
    running.cancel()
    await coordinator.close()
