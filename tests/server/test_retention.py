"""What is given up for room is given up in order: a power cut in the middle of it leaves a journal without holes."""

import random
from contextlib import suppress

import pytest
from journal_story import Run

from thinwire.common.errors import DiskError
from thinwire.server import checkpoint
from thinwire.server.audit import verify
from thinwire.server.journal import Journal
from thinwire.server.replay import Replay
from thinwire.sim.disk import Crash, SimFolder


@pytest.mark.parametrize("seed", range(60))
def test_a_power_cut_while_old_segments_and_checkpoints_are_dropped_leaves_what_verifies_and_replays(seed: int) -> None:
    dice, armed = random.Random(seed), [False]

    def reach(point: str) -> None:
        if armed[0] and ".remove." in point and dice.random() < 0.3:
            raise Crash(point)

    folder = SimFolder("coordinator", dice, reach)
    run = Run(folder, checkpoint_bytes=200, keep_bytes=500, segment_bytes=300)
    run.join("oak", "elm")
    run.train(6, "oak", "elm", seed=seed)
    armed[0] = True
    with suppress(Crash):
        run.train(30, "oak", "elm", seed=seed)
    armed[0] = False
    folder.crash(power=True)
    journal = Journal(folder, segment_bytes=300)
    newest = journal.recover().state.model.version
    assert Replay(journal).state.model.version <= newest
    assert [step.version for step in Replay(journal).steps()][-1:] in ([], [newest])
    assert verify(folder).problems == []


def test_a_state_that_could_not_be_read_again_pushes_out_no_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SimFolder("coordinator", random.Random(0))
    run = Run(folder)
    run.join("oak", "elm")
    run.train(4, "oak", "elm")
    kept = checkpoint.numbers_in(folder)
    monkeypatch.setattr(checkpoint, "MAX_STATE_BYTES", 100)
    with pytest.raises(DiskError, match="larger than a checkpoint"):
        run.journal.checkpoint(run.journal.last, *run.state.freeze())
    assert checkpoint.numbers_in(folder) == kept
