"""One snapshot for all who wait: made once, though who asked first has gone, and kept over a restart."""

import asyncio
import random

import pytest
from disk_story import coordinator_on, reached, with_fleet

from thinwire.sim.disk import SimFolder


@pytest.fixture
def folder() -> SimFolder:
    return SimFolder("coordinator", random.Random(0))


async def test_all_who_wait_are_given_the_same(folder: SimFolder) -> None:
    coordinator = coordinator_on(folder)
    await coordinator.start()
    first, second = await asyncio.gather(coordinator.snapshots.usable(), coordinator.snapshots.usable())
    assert first is second
    assert await coordinator.snapshots.usable() is first
    await coordinator.close()


async def test_it_is_made_though_who_asked_first_has_gone(folder: SimFolder) -> None:
    coordinator = coordinator_on(folder)
    await coordinator.start()
    asking = asyncio.create_task(coordinator.snapshots.usable())
    await asyncio.sleep(0)
    asking.cancel()
    await reached(lambda: coordinator.commits.snapshot is not None)
    await coordinator.close()


async def test_after_a_restart_the_kept_one_serves_if_the_log_goes_on_from_it(folder: SimFolder) -> None:
    coordinator = await with_fleet(folder)
    kept = await coordinator.snapshots.usable()
    await coordinator.close()
    again = coordinator_on(folder)
    assert again.commits.usable_snapshot == kept
