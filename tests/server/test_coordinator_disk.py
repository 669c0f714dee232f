"""A coordinator whose disk fills up, fails or is read-only: what it tells, what it keeps, and how it ends."""

import asyncio
import errno
import hashlib
import itertools
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from journal_story import BUFFERS, LAYOUT, LINEAGE, SIZE, bits, blob, fresh_state, real_run, settings

from thinwire.common.disk import OsFolder, Space
from thinwire.common.errors import DiskError, SettingsError
from thinwire.common.exits import Exit
from thinwire.common.values import DeltaChunk, DeltaHeader, Echo, Hello, Plan, RefusalReason, Sealed, Subscribe, Welcome
from thinwire.server import entries, safety
from thinwire.server import service as service_module
from thinwire.server.admit import Admission
from thinwire.server.audit import verify
from thinwire.server.commits import PackedSnapshot
from thinwire.server.coordinator import Coordinator
from thinwire.server.core import CoordinatorCore
from thinwire.server.effects import Effect, Settled
from thinwire.server.events import DeltaSealed, Event, Greeted, Left, Subscribed
from thinwire.server.feed import Outgoing
from thinwire.server.home import Home
from thinwire.server.journal import Journal
from thinwire.server.metrics import CoordinatorMetrics
from thinwire.server.operator import OperatorService
from thinwire.server.recorder import Recorder
from thinwire.server.reserve import Reserve
from thinwire.server.service import FleetService, RefusedError
from thinwire.server.staging import Staging
from thinwire.sim.disk import SimFile, SimFolder


@pytest.fixture
def folder() -> SimFolder:
    return SimFolder("coordinator", random.Random(0))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is looked at again at once."""
    monkeypatch.setattr(safety, "ROOM_EVERY_S", 0.001)


NOBODY: Any = SimpleNamespace()
MIB = 2**20


def hello(device: str, unsettled: Sequence[Sealed] = ()) -> Hello:
    """What a device says that knows all that it was told."""
    through = max((sealed.seq for sealed in unsettled), default=2)
    return Hello(device, lineage=LINEAGE, epoch=1, unsettled=tuple(unsettled), sealed_through=through)


def coordinator_on(folder: SimFolder, space: Callable[[], Space] | None = None) -> Coordinator:
    journal = Journal(folder)
    if journal.empty:
        journal.begin(fresh_state())
    found = journal.recover()
    admission = Admission(layout=LAYOUT, buffer_layout=BUFFERS, max_kept=SIZE, max_bytes=2000, max_staleness=2)
    core = CoordinatorCore(settings(), found.state, admission)
    welcome = Welcome(LINEAGE, 0, "story", "{}", LAYOUT.hash, Plan(), 0)
    recorder, metrics = Recorder(core, journal), CoordinatorMetrics()
    return Coordinator(recorder, welcome, None, metrics, found.commits, None, Reserve(0.1, 50 * MIB), space)


async def with_fleet(folder: SimFolder, space: Callable[[], Space] | None = None) -> Coordinator:
    """One commit old, with one device whose snapshot is kept."""
    coordinator = coordinator_on(folder, space)
    await coordinator.start()
    for device in ("oak", "elm"):
        await coordinator.submit(Greeted(device, 0))
        await coordinator.submit(Subscribed(device, 1))
    for seq in (1, 2):
        await coordinator.submit(delta("oak", seq))
    await coordinator.snapshot()
    return coordinator


def delta(device: str, seq: int) -> DeltaSealed:
    body, buffer_bytes = blob(seq, 0)
    return DeltaSealed(device, 1, seq, hashlib.sha256(body).digest(), body, buffer_bytes)


async def reached(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # what is waited for happens in another thread
            await asyncio.sleep(0.001)


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
    assert (await coordinator.snapshot()).version == version
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


async def test_while_a_slow_disk_syncs_streams_are_served_and_nothing_is_told(
    folder: SimFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = await with_fleet(folder)
    service = FleetService(coordinator, Staging(1000, 1000), max_devices=9, tls=False)
    session = await service._greet(hello("oak"), NOBODY)
    assert isinstance(session.feed.next(coordinator.commits, open=True, final=None), Outgoing), "its welcome"
    begun, may_end, whole = threading.Event(), threading.Event(), SimFile.sync

    def sync(self: SimFile) -> None:
        begun.set()
        assert may_end.wait(10)
        whole(self)

    monkeypatch.setattr(SimFile, "sync", sync)
    telling = asyncio.create_task(coordinator.submit(delta("elm", 1)))
    await asyncio.to_thread(begun.wait)
    await service._hear(session, Echo(b"are you there?"))
    answer = session.feed.next(coordinator.commits, open=True, final=None)
    assert isinstance(answer, Outgoing)
    assert answer.word == Echo(b"are you there?")
    assert not telling.done()
    may_end.set()
    [settled, *_] = await telling
    assert isinstance(settled, Settled)
    await coordinator.close()


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


async def test_a_sync_that_was_under_way_when_a_write_failed_tells_nothing_either(
    folder: SimFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = await with_fleet(folder)
    running = asyncio.create_task(coordinator.run())
    begun, may_end, whole = threading.Event(), threading.Event(), SimFile.sync

    def sync(self: SimFile) -> None:
        begun.set()
        assert may_end.wait(10)
        whole(self)

    monkeypatch.setattr(SimFile, "sync", sync)
    telling = asyncio.create_task(coordinator.submit(delta("elm", 1)))
    await asyncio.to_thread(begun.wait)
    folder.fail()
    later = asyncio.create_task(coordinator.submit(delta("elm", 2)))
    with pytest.raises(DiskError, match="input/output error"):
        await running
    may_end.set()
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
    begun, may_end = threading.Event(), threading.Event()

    def sync(_: SimFile) -> None:
        begun.set()
        assert may_end.wait(60)

    monkeypatch.setattr(SimFile, "sync", sync)
    telling = asyncio.create_task(coordinator.submit(delta("elm", 1)))
    await asyncio.to_thread(begun.wait)
    running = asyncio.create_task(coordinator.run())
    await asyncio.sleep(0)  # it looks at the disk, behind the sync
    coordinator.safety.fail(DiskError("something else"))
    try:
        with pytest.raises(DiskError, match="something else"):
            await asyncio.wait_for(running, 30)
    finally:
        may_end.set()
    telling.cancel()
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


# The second sync is the first after the journal was opened.
FAILING = """
import errno, os, sys
from thinwire.cli.main import main
syncs = 0
def fdatasync(handle):
    global syncs
    syncs += 1
    if syncs == 2:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
if sys.argv.pop(1) == "failing":
    os.fdatasync = fdatasync
main()
"""


def coordinate(state_dir: Path, disk: str = "sound") -> subprocess.CompletedProcess[str]:
    """A coordinator's process, to its end."""
    sets = (
        f'state.dir="{state_dir}"', 'task.id="story"', 'tasks.story="thinwire.bench.line:Line"',
        'listen.address="127.0.0.1:0"', 'listen.metrics=""',
    )  # fmt: skip
    options = [option for setting in sets for option in ("--set", setting)]
    return subprocess.run(
        [sys.executable, "-c", FAILING, disk, "coordinator", *options], capture_output=True, text=True, check=False
    )


def test_the_process_ends_with_8_when_the_disk_fails_and_its_successor_finds_all_that_was_told(tmp_path: Path) -> None:
    before, path = real_run(tmp_path / "state")
    before.join("oak", "elm")
    before.train(5, "oak", "elm")
    before.stop()
    ended = coordinate(tmp_path / "state", "failing")
    assert ended.returncode == Exit.DISK
    assert f"cannot sync {path}/journal-0000000000000001.log: Input/output error" in ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    state = Journal(OsFolder(path, lock=False)).recover().state
    state.lead(entries.Led(leader_epoch=1, outer=before.state._rules[1]))
    assert bits(state) == bits(before.state)


def test_the_process_ends_with_8_when_its_journal_is_damaged(tmp_path: Path) -> None:
    before, path = real_run(tmp_path / "state")
    before.join("oak", "elm")
    before.stop()
    journal = path / "journal-0000000000000001.log"
    journal.write_bytes(journal.read_bytes()[:-5])
    ended = coordinate(tmp_path / "state")
    assert ended.returncode == Exit.DISK
    assert "is damaged (the file ends within a record); restore this folder from a backup" in ended.stderr


def test_a_folder_that_cannot_be_written_is_a_setting_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    (tmp_path / "state").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(SettingsError, match=r"state.dir is '.*', which cannot be used: Read-only file system"):
            Home(tmp_path / "state")
    # And for a whole process: below a file there is no folder.
    (tmp_path / "file").write_text("")
    ended = coordinate(tmp_path / "file" / "state")
    assert ended.returncode == Exit.SETTINGS
    assert "file/state', which cannot be used: " in ended.stderr
