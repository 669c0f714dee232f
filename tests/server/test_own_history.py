"""A disk that a coordinator's own history fills: what is old is given up before anybody is kept waiting."""

import asyncio
import hashlib
import random
from collections.abc import Callable

import pytest
from journal_story import LAYOUT, LINEAGE, Run, blob

from thinwire.common.disk import Space
from thinwire.common.values import Plan, Welcome
from thinwire.server import checkpoint, safety
from thinwire.server.audit import verify
from thinwire.server.coordinator import Coordinator
from thinwire.server.events import DeltaSealed
from thinwire.server.metrics import CoordinatorMetrics
from thinwire.server.replay import Replay
from thinwire.server.reserve import Reserve
from thinwire.sim.disk import SimFolder


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is looked at again at once."""
    monkeypatch.setattr(safety, "ROOM_EVERY_S", 0.001)


def with_history(folder: SimFolder) -> Run:
    run = Run(folder, checkpoint_bytes=200, segment_bytes=300)
    run.join("oak", "elm")
    run.train(40, "oak", "elm")
    assert len(checkpoint.numbers_in(folder)) > 5
    return run


def coordinator_of(run: Run, reserve: Reserve, space: Callable[[], Space] | None) -> Coordinator:
    welcome = Welcome(LINEAGE, 0, "story", "{}", LAYOUT.hash, Plan(), 0)
    return Coordinator(run.recorder, welcome, None, CoordinatorMetrics(), (), None, reserve, space)


async def test_what_its_own_history_takes_of_the_reserve_is_given_up_and_nobody_waits() -> None:
    folder = SimFolder("coordinator", random.Random(0))
    run = with_history(folder)
    total, before = folder.used_bytes + 100, len(checkpoint.numbers_in(folder))
    coordinator = coordinator_of(run, Reserve(0.2, 1 << 30), lambda: Space(total - folder.used_bytes, total))
    await coordinator.safety._look()
    assert not coordinator.safety.scarce, coordinator.safety.words
    assert 2 < len(checkpoint.numbers_in(folder)) < before, "no more is given up than is missing"
    await coordinator.close()
    assert verify(folder).problems == []
    assert Replay(run.journal).state.model.version <= run.state.model.version


async def test_a_disk_that_its_own_history_fills_to_the_last_byte_has_room_again() -> None:
    folder = SimFolder("coordinator", random.Random(0))
    run = with_history(folder)
    folder.room = folder.used_bytes
    coordinator = coordinator_of(run, Reserve(0.0, 0), None)
    running = asyncio.create_task(coordinator.run())
    body, buffer_bytes = blob(1, run.state.model.version)
    row = run.core.ledger.row("oak")
    assert row is not None
    sealed = DeltaSealed("oak", row.epoch, row.contiguous + 1, hashlib.sha256(body).digest(), body, buffer_bytes)
    async with asyncio.timeout(30):
        await coordinator.submit(sealed)
    assert not coordinator.safety.full
    running.cancel()
    await coordinator.close()


def test_two_checkpoints_are_never_given_up() -> None:
    folder = SimFolder("coordinator", random.Random(0))
    run = with_history(folder)
    while run.journal.give_up_oldest():
        assert verify(folder).problems == []
    assert len(checkpoint.numbers_in(folder)) == 2
