"""A coordinator whose disk is slow or fails: streams go on meanwhile, and after an error nothing more is told."""

import asyncio

import pytest
from disk_story import NOBODY, HeldSyncs, coordinator_on, delta, hello, with_fleet
from journal_story import fresh_state

from thinwire.common.disk import Space
from thinwire.common.errors import DiskError
from thinwire.common.values import Echo
from thinwire.server.audit import verify
from thinwire.server.effects import Settled
from thinwire.server.events import Greeted
from thinwire.server.feed import Outgoing
from thinwire.server.service import FleetService
from thinwire.server.staging import Staging
from thinwire.sim.disk import SimFolder


async def test_while_a_slow_disk_syncs_streams_are_served_and_nothing_is_told(
    folder: SimFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = await with_fleet(folder)
    service = FleetService(coordinator, Staging(1000, 1000), max_devices=9, tls=False)
    session = await service._greet(hello("oak"), NOBODY)
    assert isinstance(session.feed.next(coordinator.commits, open=True, final=None), Outgoing), "its welcome"
    syncs = HeldSyncs(monkeypatch)
    telling = asyncio.create_task(coordinator.submit(delta("elm", 1)))
    await syncs.begun()
    await service._hear(session, Echo(b"are you there?"))
    answer = session.feed.next(coordinator.commits, open=True, final=None)
    assert isinstance(answer, Outgoing)
    assert answer.word == Echo(b"are you there?")
    assert not telling.done()
    syncs.may_end.set()
    [settled, *_] = await telling
    assert isinstance(settled, Settled)
    await coordinator.close()


async def test_a_sync_that_was_under_way_when_a_write_failed_tells_nothing_either(
    folder: SimFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = await with_fleet(folder)
    running = asyncio.create_task(coordinator.run())
    syncs = HeldSyncs(monkeypatch)
    telling = asyncio.create_task(coordinator.submit(delta("elm", 1)))
    await syncs.begun()
    folder.fail()
    later = asyncio.create_task(coordinator.submit(delta("elm", 2)))
    with pytest.raises(DiskError, match="input/output error"):
        await running
    syncs.may_end.set()
    await coordinator.close()
    for _ in range(100):  # what could still be told is told within a few turns of the loop
        await asyncio.sleep(0)
    assert not telling.done()
    telling.cancel()
    later.cancel()


@pytest.mark.parametrize("at", ["the sync", "the write"])
async def test_after_an_error_of_the_disk_nothing_more_is_told_and_the_process_must_end(
    folder: SimFolder, at: str
) -> None:
    coordinator = await with_fleet(folder)
    running = asyncio.create_task(coordinator.run())
    accepted, journal = coordinator.figures.totals.accepted, coordinator.recorder.journal
    assert journal is not None
    last = journal.last
    folder.fail(after=1 if at == "the sync" else 0)
    telling = [asyncio.create_task(coordinator.submit(delta("elm", seq))) for seq in (1, 2, 3)]
    with pytest.raises(DiskError, match="input/output error"):
        await running
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in telling)
    assert coordinator.figures.totals.accepted == accepted
    assert at == "the sync" or journal.last == last, "after a write that failed nothing else is written"
    for task in telling:
        task.cancel()
    await coordinator.close()
    # What the disk kept of it is one of the states that a device may find when it asks again.
    folder.crash(power=True)
    later = coordinator_on(folder)
    await later.start()
    outcomes = [await later.submit(delta("elm", seq)) for seq in (1, 2)]
    assert all(settled.outcome.seq == seq for (settled, *_), seq in zip(outcomes, (1, 2), strict=True))  # type: ignore[union-attr]
    assert verify(folder).problems == []


async def test_a_sync_that_failed_under_a_checkpoint_is_not_asked_for_again(folder: SimFolder) -> None:
    """The kernel would say that all is well, for it has forgotten what it could not write."""
    coordinator = await with_fleet(folder)
    coordinator.recorder.handle(Greeted("ash", 0), 0.0)
    assert coordinator.recorder.journal is not None
    folder.fail()
    for _ in range(2):
        with pytest.raises(DiskError, match="input/output error"):
            coordinator.recorder.journal.checkpoint(0, *fresh_state().freeze())
    with pytest.raises(DiskError, match="input/output error"):
        coordinator.recorder.sync()


async def test_what_failed_is_said_although_a_sync_hangs(folder: SimFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    coordinator = await with_fleet(folder, lambda: Space(1 << 30, 1 << 31))
    syncs = HeldSyncs(monkeypatch)
    telling = asyncio.create_task(coordinator.submit(delta("elm", 1)))
    await syncs.begun()
    running = asyncio.create_task(coordinator.run())
    await asyncio.sleep(0)  # it looks at the disk, behind the sync
    coordinator.safety.fail(DiskError("something else"))
    try:
        with pytest.raises(DiskError, match="something else"):
            await asyncio.wait_for(running, 30)
    finally:
        syncs.may_end.set()
    telling.cancel()
    await coordinator.close()
