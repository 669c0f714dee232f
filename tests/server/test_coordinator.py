"""The coordinator around its core: what was begun is carried through, whoever hangs up meanwhile."""

import asyncio
import hashlib
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from thinwire.common.codec import Packet, ValueCode, pack, quantise
from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.values import Hello, Plan, Welcome
from thinwire.server.admit import Admission
from thinwire.server.coordinator import Coordinator
from thinwire.server.core import CoordinatorCore
from thinwire.server.events import DeltaSealed, Greeted, Subscribed
from thinwire.server.metrics import CoordinatorMetrics
from thinwire.server.model import Commit, GlobalModel
from thinwire.server.policy import Buffered
from thinwire.server.recorder import Recorder
from thinwire.server.rules import Rules
from thinwire.server.service import FleetService
from thinwire.server.staging import Staging
from thinwire.server.state import Identity, RunState

SIZE = 4
LAYOUT, NOTHING = Layout((TensorSpec("w", (SIZE,)),)), Layout(())


class SlowModel(GlobalModel):
    """A model so large that a commit takes until the test has done what it wants to do meanwhile."""

    def __init__(self) -> None:
        super().__init__(LAYOUT, NOTHING, np.zeros(SIZE, np.float32), np.zeros(0, np.float32))
        self.begun, self.may_end = threading.Event(), threading.Event()

    def publish(self, *how: Any) -> Commit:
        self.begun.set()
        assert self.may_end.wait(10)
        return super().publish(*how)


def coordinator_of(model: GlobalModel) -> Coordinator:
    admission = Admission(layout=LAYOUT, buffer_layout=NOTHING, max_kept=SIZE, max_bytes=1000, max_staleness=2)
    state = RunState(Identity(lineage=bytes(16), task="t"), model)
    decisions = CoordinatorCore(Rules(policy=Buffered(1), evaluate=False), state, admission)
    welcome = Welcome(bytes(16), 0, "t", "{}", LAYOUT.hash, Plan(), 0)
    return Coordinator(Recorder(decisions, None), welcome, None, CoordinatorMetrics())


def delta() -> DeltaSealed:
    packed = pack(Packet(LAYOUT.hash, 0, SIZE, np.arange(SIZE), quantise(np.ones(SIZE, np.float32), ValueCode.FP32)))
    return DeltaSealed("a", 1, 1, hashlib.sha256(packed).digest(), packed)


@pytest.mark.asyncio
async def test_a_commit_is_kept_though_the_device_that_caused_it_has_gone() -> None:
    model = SlowModel()
    coordinator = coordinator_of(model)
    await coordinator.submit(Greeted("a", 0))
    await coordinator.submit(Subscribed("a", 1))
    hearing = asyncio.create_task(coordinator.submit(delta()))
    await asyncio.to_thread(model.begun.wait)
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)
    model.may_end.set()
    snapshot = await coordinator.snapshots.usable()
    assert (snapshot.version, coordinator.commits.version, coordinator.figures.totals.accepted) == (1, 1, 1)


@pytest.mark.asyncio
async def test_after_an_error_that_nobody_foresaw_no_event_is_taken_and_the_process_must_end() -> None:
    """The core may be ahead of its journal: the next commit would not be what the journal adds up to."""

    class Broken(GlobalModel):
        def publish(self, *how: Any) -> Commit:
            raise KeyError("a bug")

    coordinator = coordinator_of(Broken(LAYOUT, NOTHING, np.zeros(SIZE, np.float32), np.zeros(0, np.float32)))
    running = asyncio.create_task(coordinator.run())
    await coordinator.submit(Greeted("a", 0))
    await coordinator.submit(Subscribed("a", 1))
    telling = [asyncio.create_task(coordinator.submit(event)) for event in (delta(), Greeted("b", 0))]
    with pytest.raises(KeyError, match="a bug"):
        await running
    assert coordinator.core.ledger.row("b") is None
    assert not any(task.done() for task in telling)
    for task in telling:
        task.cancel()


@pytest.mark.asyncio
async def test_it_is_closed_when_the_commit_under_way_is_made_and_takes_nothing_after() -> None:
    model = SlowModel()
    coordinator = coordinator_of(model)
    await coordinator.submit(Greeted("a", 0))
    await coordinator.submit(Subscribed("a", 1))
    telling = asyncio.create_task(coordinator.submit(delta()))
    await asyncio.to_thread(model.begun.wait)
    late = asyncio.create_task(coordinator.submit(Greeted("b", 0)))
    closing = asyncio.create_task(coordinator.close())
    await asyncio.sleep(0)
    model.may_end.set()
    await asyncio.gather(closing, telling)
    after = asyncio.create_task(coordinator.submit(Greeted("c", 0)))
    await asyncio.sleep(0.01)
    assert (coordinator.commits.version, coordinator.core.ledger.row("c"), after.done()) == (1, None, False)
    for task in (late, after):
        task.cancel()


@pytest.mark.asyncio
async def test_a_device_that_goes_while_it_is_greeted_again_is_not_taken_for_present() -> None:
    model = SlowModel()
    model.may_end.set()
    coordinator = coordinator_of(model)
    fleet = FleetService(coordinator, Staging(1000, 1000), max_devices=2, tls=False)
    context: Any = SimpleNamespace()
    await fleet._greet(Hello("a"), context)
    await coordinator.submit(Subscribed("a", 1))
    greeting = asyncio.create_task(fleet._greet(Hello("a"), context))
    await asyncio.sleep(0)
    greeting.cancel()
    await asyncio.gather(greeting, return_exceptions=True)
    assert (coordinator.core.roster.live, coordinator.sessions) == (0, {})
