"""A coordinator whose disk fills up, fails or is read-only: what it tells, what it keeps, and how it ends."""

import asyncio
import errno
import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from journal_story import BUFFERS, LAYOUT, LINEAGE, SIZE, bits, blob, fresh_state, real_run, settings

from thinwire.common.disk import OsFolder
from thinwire.common.errors import DiskError, SettingsError
from thinwire.common.exits import Exit
from thinwire.common.values import Hello, Plan, RefusalReason, Welcome
from thinwire.server import entries, safety
from thinwire.server.admit import Admission
from thinwire.server.audit import verify
from thinwire.server.coordinator import Coordinator
from thinwire.server.core import CoordinatorCore
from thinwire.server.events import DeltaSealed, Greeted, Subscribed
from thinwire.server.home import Home
from thinwire.server.journal import Journal
from thinwire.server.metrics import CoordinatorMetrics
from thinwire.server.operator import OperatorService
from thinwire.server.recorder import Recorder
from thinwire.server.service import FleetService, RefusedError
from thinwire.server.staging import Staging
from thinwire.sim.disk import SimFolder


@pytest.fixture
def folder() -> SimFolder:
    return SimFolder("coordinator", random.Random(0))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is looked at again at once."""
    monkeypatch.setattr(safety, "ROOM_EVERY_S", 0.001)


def coordinator_on(folder: SimFolder) -> Coordinator:
    journal = Journal(folder)
    if journal.empty:
        journal.begin(fresh_state())
    found = journal.recover()
    admission = Admission(layout=LAYOUT, buffer_layout=BUFFERS, max_kept=SIZE, max_bytes=2000, max_staleness=2)
    core = CoordinatorCore(settings(), found.state, admission)
    welcome = Welcome(LINEAGE, 0, "story", "{}", LAYOUT.hash, Plan(), 0)
    return Coordinator(Recorder(core, journal), welcome, None, CoordinatorMetrics(), found.commits)


async def with_fleet(folder: SimFolder) -> Coordinator:
    """One commit old, with one device whose snapshot is kept."""
    coordinator = coordinator_on(folder)
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
    await reached(lambda: coordinator.full)
    assert not any(task.done() for task in telling)
    assert (coordinator.figures.totals.accepted, coordinator.commits.version) == (accepted, version)
    # Who is behind gets the commit or the snapshot that is kept, and whoever comes anew is told why not.
    assert coordinator.commits.after(0) is not None
    assert (await coordinator.snapshot()).version == version
    status = await OperatorService(coordinator, 0.0).GetStatus(None, None)  # type: ignore[arg-type]
    assert "state.dir is full" in status.reason
    context: Any = SimpleNamespace()
    with pytest.raises(RefusedError) as refused:
        await FleetService(coordinator, Staging(1000, 1000), max_devices=9, tls=False)._greet(Hello("ash"), context)
    assert refused.value.refusal.reason is RefusalReason.DISK_FULL

    folder.full = False
    await asyncio.gather(*telling)
    assert (coordinator.figures.totals.accepted, coordinator.commits.version) == (accepted + 2, version + 1)
    running.cancel()
    await coordinator.close()
    folder.crash(power=True)
    assert bits(Journal(folder).recover().state) == bits(coordinator.core.state)


async def test_started_on_a_full_disk_it_waits_until_it_may_say_that_it_leads(folder: SimFolder) -> None:
    await (await with_fleet(folder)).close()
    folder.crash(power=False)
    folder.full = True
    later = coordinator_on(folder)
    starting = asyncio.create_task(later.start())
    await reached(lambda: later.full)
    assert not starting.done()
    folder.full = False
    await starting
    assert later.core.state.leader_epoch == 2


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
