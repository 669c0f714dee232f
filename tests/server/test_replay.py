"""`thinwire journal replay` ends bit-identical to the live model, wherever it begins, and stops where it would not."""

from pathlib import Path

import pytest
from journal_story import Run, bits, real_run

from thinwire.common.disk import OsFolder
from thinwire.common.errors import DamagedError, SettingsError
from thinwire.common.view import View
from thinwire.server import checkpoint
from thinwire.server.journal import Journal
from thinwire.server.replay import Replay


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Run, Path]:
    run, path = real_run(
        tmp_path / "state", checkpoint_bytes=500, segment_bytes=600, server_momentum=0.9, denominator="covered"
    )
    run.join("oak", "elm", "ash")
    run.train(11, "oak", "elm", "ash")
    return run, path


def test_it_ends_with_the_live_state_from_the_oldest_checkpoint_and_from_each(trained: tuple[Run, Path]) -> None:
    run, path = trained
    kept = checkpoint.numbers_in(OsFolder(path, lock=False))
    assert len(kept) > 2
    for start in (None, *kept):
        with View(path) as view:
            replay = Replay(Journal(view), start)
            steps = list(replay.steps())
        assert bits(replay.state) == bits(run.state)
        assert (replay.number, replay.compared) == (run.journal.last, sum(number > (start or 0) for number in kept))
        if steps:
            assert (steps[-1].version, steps[-1].checksum) == (5, run.core.model.checksum)


def test_it_ends_at_the_version_that_is_asked_for(trained: tuple[Run, Path]) -> None:
    _run, path = trained
    with View(path) as view:
        replay = Replay(Journal(view))
        assert [step.version for step in replay.steps(3)] == [1, 2, 3]
        recovered = Journal(view).recover(3).state
    assert replay.state.model.weights_P.tobytes() == recovered.model.weights_P.tobytes()
    assert (replay.state.model.version, replay.state.fold.count) == (3, 0)


def test_a_checkpoint_that_is_not_kept_is_refused_with_those_that_are(trained: tuple[Run, Path]) -> None:
    with View(trained[1]) as view, pytest.raises(SettingsError, match="there are those of entries 0, "):
        Replay(Journal(view), 1)


def test_a_checkpoint_of_another_state_is_found_though_its_own_sums_are_right(trained: tuple[Run, Path]) -> None:
    _, path = trained
    folder = OsFolder(path, lock=False)
    _, second, *_ = checkpoint.numbers_in(folder)
    frozen, vectors = checkpoint.read(folder, second).freeze()
    vectors["residual"][0] += 1
    checkpoint.write(folder, second, frozen, vectors)
    with View(path) as view, pytest.raises(DamagedError, match=f"not what the entries up to {second}"):
        list(Replay(Journal(view)).steps())


def test_a_damaged_oldest_checkpoint_is_passed_over(trained: tuple[Run, Path]) -> None:
    run, path = trained
    oldest = path / checkpoint.name_of(0)
    oldest.write_bytes(oldest.read_bytes()[:-1])
    with View(path) as view:
        replay = Replay(Journal(view))
        assert replay.number > 0
        list(replay.steps())
    assert bits(replay.state) == bits(run.state)
