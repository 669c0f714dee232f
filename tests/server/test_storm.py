"""Devices that come and go without end make the journal longer; they do not make a restart slower and slower."""

import random

import pytest
from journal_story import Run, bits

from thinwire.server import journal
from thinwire.server.events import Greeted
from thinwire.server.journal import Journal
from thinwire.sim.disk import SimFolder


def test_a_storm_without_any_commit_is_behind_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CHECKPOINT_ENTRIES", 20)
    monkeypatch.setattr(journal, "STORM_ENTRIES", 50)
    folder = SimFolder("coordinator", random.Random(0))
    run = Run(folder)
    for number in range(120):
        run.happens(Greeted(f"restless-{number % 40}", 0))
    folder.crash(power=True)
    found = Journal(folder).recover()
    assert bits(found.state) == bits(run.state)
    assert found.replayed < 50
