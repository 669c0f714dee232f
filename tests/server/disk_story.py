"""A coordinator with its journal on a simulated disk, one commit old, and what its devices say to it."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from journal_story import BUFFERS, LAYOUT, LINEAGE, SIZE, blob, fresh_state, settings

from thinwire.common.disk import Space
from thinwire.common.values import Hello, Plan, Sealed, Welcome
from thinwire.server.admit import Admission
from thinwire.server.coordinator import Coordinator
from thinwire.server.core import CoordinatorCore
from thinwire.server.events import DeltaSealed, Greeted, Subscribed
from thinwire.server.journal import Journal
from thinwire.server.metrics import CoordinatorMetrics
from thinwire.server.recorder import Recorder
from thinwire.server.reserve import Reserve
from thinwire.sim.disk import SimFolder
from thinwire.sim.file import SimFile

NOBODY: Any = SimpleNamespace()
MIB = 2**20


def hello(device: str, unsettled: Sequence[Sealed] = ()) -> Hello:
    """What a device says that knows all that it was told."""
    through = max((sealed.seq for sealed in unsettled), default=2)
    return Hello(device, lineage=LINEAGE, epoch=1, unsettled=tuple(unsettled), sealed_through=through)


def coordinator_on(folder: SimFolder, space: Callable[[], Space] | None = None, **rules: Any) -> Coordinator:
    journal = Journal(folder)
    if journal.empty:
        journal.begin(fresh_state())
    found = journal.recover()
    admission = Admission(layout=LAYOUT, buffer_layout=BUFFERS, max_kept=SIZE, max_bytes=2000, max_staleness=2)
    core = CoordinatorCore(settings(**rules), found.state, admission)
    welcome = Welcome(LINEAGE, 0, "story", "{}", LAYOUT.hash, Plan(), 0)
    recorder, metrics = Recorder(core, journal), CoordinatorMetrics()
    return Coordinator(recorder, welcome, None, metrics, found.commits, None, Reserve(0.1, 50 * MIB), space)


async def with_fleet(folder: SimFolder, space: Callable[[], Space] | None = None, **rules: Any) -> Coordinator:
    """One commit old, with one device whose snapshot is kept."""
    coordinator = coordinator_on(folder, space, **rules)
    await coordinator.start()
    for device in ("oak", "elm"):
        await coordinator.submit(Greeted(device, 0))
        await coordinator.submit(Subscribed(device, 1))
    for seq in (1, 2):
        await coordinator.submit(delta("oak", seq))
    await coordinator.snapshots.usable()
    return coordinator


def delta(device: str, seq: int) -> DeltaSealed:
    body, buffer_bytes = blob(seq, 0)
    return DeltaSealed(device, 1, seq, hashlib.sha256(body).digest(), body, buffer_bytes)


async def reached(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # what is waited for happens in another thread
            await asyncio.sleep(0.001)


class HeldSyncs:
    """From here on a sync of the disk has begun, and ends only when it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._begun, self.may_end = threading.Event(), threading.Event()
        whole = SimFile.sync

        def sync(file: SimFile) -> None:
            self._begun.set()
            assert self.may_end.wait(60)
            whole(file)

        monkeypatch.setattr(SimFile, "sync", sync)

    async def begun(self) -> None:
        """Until one has begun."""
        assert await asyncio.to_thread(self._begun.wait, 30)
