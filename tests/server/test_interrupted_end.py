"""A coordinator killed between what ends the training and the word that it is over ends it when it starts again."""

import random
from typing import Any

import pytest
from journal_story import Run

from thinwire.common.errors import DiskError
from thinwire.server import entries
from thinwire.server.effects import Evaluate
from thinwire.server.events import Evaluated
from thinwire.server.policy import Buffered
from thinwire.sim.disk import SimFolder


def killed_before_the_end(run: Run) -> None:
    write = run.journal.write

    def killed(entry: entries.Entry, body: bytes = b"") -> int:
        if isinstance(entry, entries.Finished):
            raise DiskError("killed")
        return write(entry, body)

    run.journal.write = killed  # type: ignore[method-assign]


def started(folder: SimFolder, **rules: Any) -> Run:
    folder.crash(power=False)
    return Run(folder, policy=Buffered(1), **rules)


def test_no_commit_comes_beyond_those_that_were_asked_for() -> None:
    folder = SimFolder("coordinator", random.Random(0))
    run = started(folder, max_commits=2)
    run.join("oak")
    run.train(1, "oak")
    killed_before_the_end(run)
    with pytest.raises(DiskError):
        run.delta("oak", 5)
    run = started(folder, max_commits=2)
    assert (run.core.phase, run.core.model.version) == ("finished", 2)
    assert started(folder, max_commits=2).core.phase == "finished"


WATCHED = {"evaluate": True, "target_accuracy": 0.9, "patience": 1}


def reached(folder: SimFolder) -> Run:
    run = started(folder, **WATCHED)
    run.join("oak")
    run.train(1, "oak")
    run.happens(Evaluated(0, {"accuracy": 0.1}))
    killed_before_the_end(run)
    with pytest.raises(DiskError):
        run.happens(Evaluated(1, {"accuracy": 0.95}))
    return run


def test_a_target_that_was_reached_stays_reached() -> None:
    folder = SimFolder("coordinator", random.Random(0))
    reached(folder)
    assert started(folder, **WATCHED).core.state.reason == "the target accuracy 0.9 is reached"


def test_a_higher_target_is_not_reached_by_what_hit_the_lower_one() -> None:
    folder = SimFolder("coordinator", random.Random(0))
    reached(folder)
    run = started(folder, **{**WATCHED, "target_accuracy": 0.99})
    assert run.core.phase == "training"
    assert any(isinstance(effect, Evaluate) for effect in run.delta("oak", 7))
