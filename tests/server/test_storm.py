"""Devices that come and go without end make the journal longer; they do not make a restart slower and slower."""

import hashlib
import random

import numpy as np
import pytest
from journal_story import LAYOUT, SIZE, Run, bits

from thinwire.common.codec import Packet, ValueCode, pack, quantise
from thinwire.server import journal
from thinwire.server.events import DeltaSealed, Greeted
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


def test_what_a_step_that_diverged_has_left_is_in_no_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a rollback to the last good version would begin with it, and diverge again."""
    monkeypatch.setattr(journal, "CHECKPOINT_ENTRIES", 20)
    monkeypatch.setattr(journal, "STORM_ENTRIES", 50)
    folder = SimFolder("coordinator", random.Random(0))
    run = Run(folder, values_down=ValueCode.FP32)
    run.join("oak")
    seq = 0
    while run.state.phase != "finished":
        seq, quantised = seq + 1, quantise(np.full(SIZE, 2e38, np.float32), ValueCode.FP32)
        body = pack(Packet(LAYOUT.hash, run.core.model.version, SIZE, np.arange(SIZE), quantised))
        run.happens(DeltaSealed("oak", 1, seq, hashlib.sha256(body).digest(), body))
    assert "diverged" in run.state.reason
    for number in range(120):
        run.happens(Greeted(f"restless-{number}", 0))
    found = Journal(folder).recover().state
    assert found.model.version == run.core.model.version
    assert np.isfinite(found.model.residual_P).all()
    assert found.fold.count == 2, "and the deltas that it was made from are as they were"
