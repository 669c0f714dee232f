"""A coordinator whose disk is full or nearly so: what it tells, whom it serves, and how it goes on."""

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from disk_story import MIB, NOBODY, coordinator_on, delta, hello, reached, with_fleet
from journal_story import bits

from thinwire.common.disk import Space
from thinwire.common.values import DeltaChunk, DeltaHeader, Echo, Hello, RefusalReason, Sealed, Subscribe, Welcome
from thinwire.server import safety
from thinwire.server import service as service_module
from thinwire.server.commits import PackedSnapshot
from thinwire.server.feed import Outgoing
from thinwire.server.journal import Journal
from thinwire.server.operator import OperatorService
from thinwire.server.service import FleetService, RefusedError
from thinwire.server.staging import Staging
from thinwire.sim.disk import SimFolder


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is looked at again at once."""
    monkeypatch.setattr(safety, "ROOM_EVERY_S", 0.001)


async def test_with_a_full_disk_nothing_is_acknowledged_models_are_served_and_all_goes_on(folder: SimFolder) -> None:
    coordinator = await with_fleet(folder)
    running = asyncio.create_task(coordinator.run())
    accepted, version = coordinator.figures.totals.accepted, coordinator.commits.version
    folder.full = True
    telling = [asyncio.create_task(coordinator.submit(delta("elm", seq))) for seq in (1, 2)]
    await reached(lambda: coordinator.safety.full)
    assert not any(task.done() for task in telling)
    assert (coordinator.figures.totals.accepted, coordinator.commits.version) == (accepted, version)
    # Who is behind gets the commit or the snapshot that is kept.
    assert coordinator.commits.after(0) is not None
    assert (await coordinator.snapshots.usable()).version == version
    status = await OperatorService(coordinator, 0.0).GetStatus(None, None)  # type: ignore[arg-type]
    assert "state.dir is full" in status.reason

    folder.full = False
    await asyncio.gather(*telling)
    assert (coordinator.figures.totals.accepted, coordinator.commits.version) == (accepted + 2, version + 1)
    running.cancel()
    await coordinator.close()
    folder.crash(power=True)
    assert bits(Journal(folder).recover().state) == bits(coordinator.core.state)


async def test_with_a_full_disk_a_known_device_comes_back_and_hears_what_is_safe_and_no_more(folder: SimFolder) -> None:
    coordinator = await with_fleet(folder)
    running = asyncio.create_task(coordinator.run())
    service = FleetService(coordinator, Staging(1000, 1000), max_devices=9, tls=False)
    folder.full = True
    telling = [asyncio.create_task(coordinator.submit(delta("elm", 1)))]
    await reached(lambda: coordinator.safety.full)
    # Each may ask about what is safe and what is not: an outcome that a power cut would undo is not told.
    asked = [Sealed(seq, delta("oak", seq).sha256) for seq in (1, 2)], [Sealed(1, delta("elm", 1).sha256)]
    for device, unsettled in zip(("oak", "elm"), asked, strict=True):
        session = await service._greet(hello(device, unsettled), NOBODY)
        welcome = session.feed.next(coordinator.commits, open=True, final=None)
        assert isinstance(welcome, Outgoing)
        assert isinstance(welcome.word, Welcome)
        assert [outcome.seq for outcome in welcome.word.outcomes] == ([1, 2] if device == "oak" else [])
        await asyncio.wait_for(service._subscribe(session, Subscribe(has_base=True)), 10)
    assert isinstance(session.feed.next(coordinator.commits, open=True, final=None), Outgoing), "the commit it missed"
    for stranger in ("ash", "oak"):  # one that nobody knows, and one that has lost its store
        with pytest.raises(RefusedError) as refused:
            await service._greet(Hello(stranger), NOBODY)
        assert (refused.value.refusal.reason, refused.value.refusal.fatal) == (RefusalReason.DISK_FULL, False)
    await service._leave(session)
    folder.full = False
    await asyncio.gather(*telling)
    await reached(lambda: coordinator.core.roster.live == 0)
    running.cancel()
    await coordinator.close()


async def test_who_waits_for_a_snapshot_on_a_full_disk_is_spoken_to_and_none_is_packed_in_vain(
    folder: SimFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = await with_fleet(folder)
    coordinator.commits.snapshot = None
    running = asyncio.create_task(coordinator.run())
    service = FleetService(coordinator, Staging(1000, 1000), max_devices=9, tls=False)
    packed, whole = [0], PackedSnapshot.of

    def pack(*parts: Any) -> PackedSnapshot:
        packed[0] += 1
        return whole(*parts)

    monkeypatch.setattr(PackedSnapshot, "of", pack)
    folder.full = True
    telling = asyncio.create_task(coordinator.submit(delta("elm", 1)))
    await reached(lambda: coordinator.safety.full)
    session = await service._greet(hello("oak"), NOBODY)
    session.feed.subscribe(Subscribe(has_base=False))
    said: asyncio.Queue[bytes] = asyncio.Queue()
    speaking = asyncio.create_task(service._speak(session, SimpleNamespace(write=said.put)))  # type: ignore[arg-type]
    await asyncio.wait_for(said.get(), 10)  # its welcome
    for _ in range(3):
        await service._hear(session, Echo(b"are you there?"))
        await asyncio.wait_for(said.get(), 10)
    assert packed == [0]
    folder.full = False
    await asyncio.wait_for(said.get(), 10)
    assert packed == [1]
    speaking.cancel()
    running.cancel()
    await telling
    await coordinator.close()


async def test_started_on_a_full_disk_it_waits_until_it_may_say_that_it_leads(folder: SimFolder) -> None:
    await (await with_fleet(folder)).close()
    folder.crash(power=False)
    folder.full = True
    later = coordinator_on(folder)
    starting = asyncio.create_task(later.start())
    await reached(lambda: later.safety.full)
    assert not starting.done()
    folder.full = False
    await starting
    assert later.core.state.leader_epoch == 2


async def test_with_little_room_left_no_new_delta_is_begun_until_there_is_more(
    folder: SimFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, looks = [Space(5 * MIB, 100 * MIB)], itertools.count()

    def space() -> Space:
        next(looks)
        return room[0]

    coordinator = await with_fleet(folder, space)
    running = asyncio.create_task(coordinator.run())
    service = FleetService(coordinator, Staging(1000, 1000), max_devices=9, tls=False)
    await reached(lambda: coordinator.safety.scarce)
    assert "state.reserve" in coordinator.held_back
    session = await service._greet(hello("oak"), NOBODY)
    coming = delta("oak", 3)
    header = DeltaHeader(len(coming.payload), coming.sha256, coming.buffer_bytes)
    chunk = DeltaChunk(3, 0, coming.payload, header, end=True)
    with monkeypatch.context() as patched:
        patched.setattr(service_module, "HOLD_S", 0.01)
        with pytest.raises(RefusedError, match=r"reserve.*safe on the device") as refused:
            await service._take_chunk(session, chunk)
    assert refused.value.refusal.retry_after_s > 0
    with pytest.raises(RefusedError, match=r"state.reserve"):
        await service._greet(Hello("ash"), NOBODY)
    held = asyncio.create_task(service._take_chunk(session, chunk))
    room[0] = Space(10 * MIB, 100 * MIB)  # just above what is kept, and not yet enough
    seen = next(looks)
    await reached(lambda: next(looks) > seen + 20)
    assert not held.done()
    room[0] = Space(12 * MIB, 100 * MIB)
    await held
    assert coordinator.core.ledger.next_seq("oak") == 4
    running.cancel()
    await coordinator.close()
