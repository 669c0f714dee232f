"""Each name that ever came has a row in the ledger: there are only so many, and who leaves at once counts, too."""

import asyncio
import random

import pytest
from disk_story import NOBODY, with_fleet
from journal_story import Run

from thinwire.common.values import Hello, RefusalReason
from thinwire.server.effects import Effect, Recognised, Refused
from thinwire.server.events import Greeted
from thinwire.server.service import FleetService
from thinwire.server.staging import Staging
from thinwire.sim.disk import SimFolder


def greeted(run: Run, name: str) -> Effect:
    return run.happens(Greeted(name, 0))[0]


def test_beyond_so_many_names_no_new_one_is_written_or_remembered() -> None:
    run = Run(SimFolder("coordinator", random.Random(0)), max_known=8)
    known = [f"known-{number}" for number in range(8)]
    assert all(isinstance(greeted(run, name), Recognised) for name in known)
    last = run.journal.last
    for number in range(100):
        refused = greeted(run, f"made-up-{number}")
        assert isinstance(refused, Refused)
        assert (refused.reason, refused.retry_after_s) == (RefusalReason.FULL, 600.0)
        assert refused.message.startswith("8 devices are known already, and this is none of them; at most 8 are (4 ")
    core, held_up = run.core, run.core._enrolment.allowance
    assert (run.journal.last, len(core.ledger), len(held_up), len(core._doubts._satisfied)) == (last, 8, 8, 8)
    # Who is known may lose its store and begin anew.
    assert isinstance(greeted(run, "known-3"), Recognised)


def test_after_a_restart_the_names_of_before_still_count() -> None:
    folder = SimFolder("coordinator", random.Random(0))
    run = Run(folder, max_known=2)
    for name in ("oak", "elm"):
        greeted(run, name)
    folder.crash(power=True)
    assert isinstance(greeted(Run(folder, max_known=2), "ash"), Refused)


@pytest.mark.asyncio
async def test_streams_that_are_cut_off_in_mid_greeting_count_as_well() -> None:
    known = len(("oak", "elm"))
    coordinator = await with_fleet(SimFolder("coordinator", random.Random(0)), max_known=known + 3)
    service = FleetService(coordinator, Staging(1000, 1000), max_devices=2, tls=False)
    for number in range(10):
        greeting = asyncio.create_task(service._greet(Hello(f"made-up-{number}"), NOBODY))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        greeting.cancel()
        await asyncio.gather(greeting, return_exceptions=True)
    await coordinator.close()
    assert len(coordinator.core.ledger) == known + 3
