"""Whatever befalls the files of a run: a start finds the very state that was told of, or names what is damaged."""

import random
from pathlib import Path

import pytest
from journal_story import Run, again, bits, real_run

from thinwire.common.disk import OsFolder
from thinwire.common.errors import DamagedError, DiskError
from thinwire.server import checkpoint
from thinwire.server.events import Greeted, Subscribed
from thinwire.server.journal import Journal
from thinwire.sim.disk import SimFolder

SMALL = {"checkpoint_bytes": 400, "segment_bytes": 900}


def recovered(path: Path) -> bytes:
    return bits(Journal(OsFolder(path, lock=False)).recover().state)


def train(run: Run) -> list[bytes]:
    """Seven deltas and a rejected one; the state before the first and after each."""
    run.join("oak", "elm")
    states = [bits(run.state)]
    for number in range(8):
        run.delta(("oak", "elm")[number % 2], number, base=99 if number == 7 else None)
        states.append(bits(run.state))
    return states


@pytest.mark.parametrize("marked", [True, False], ids=["that was synced", "that perhaps was not"])
def test_torn_at_every_byte_of_its_last_record(tmp_path: Path, marked: bool) -> None:
    run, path = real_run(tmp_path)
    before, after = train(run)[-2:]
    [newest] = path.glob("journal-*.log")
    whole, mark = newest.read_bytes(), (path / "journal.synced").read_bytes()
    records = [record.offset for record in run.journal._log.read(1)]
    for length in range(records[-1], len(whole)):
        newest.write_bytes(whole[:length])
        (path / "journal.synced").write_bytes(mark if marked else b"")
        if marked:
            with pytest.raises(DamagedError, match="restore this folder from a backup"):
                recovered(path)
        else:
            assert recovered(path) == before
    newest.write_bytes(whole)
    assert recovered(path) == after


def halting_words(folder: SimFolder, state: bytes) -> str:
    """Why a start halts; "" when it finds the state."""
    try:
        assert bits(Journal(folder).recover().state) == state
    except DamagedError as error:
        return str(error)
    return ""


def test_a_bit_flipped_in_any_file_gives_the_same_state_or_halts_with_the_record() -> None:
    folder = SimFolder("coordinator", random.Random(0))
    run = Run(folder, **SMALL, server_momentum=0.5)
    state, whole = train(run)[-1], folder.backup()
    halted = same = 0
    for name, data in whole.items():
        for byte in range(0, len(data), 1 if name.endswith(".log") else 11):
            folder.restore(whole)
            folder.flip(name, 8 * byte + byte % 8)
            words = halting_words(folder, state)
            halted, same = halted + bool(words), same + (not words)
            if words:
                assert name.startswith("journal-")
                assert f"{name}: " in words
                assert "restore this folder from a backup" in words
    assert same > 100
    assert halted > 100


def test_with_the_newest_checkpoint_damaged_the_one_before_it_and_more_entries_give_the_same(tmp_path: Path) -> None:
    run, path = real_run(tmp_path, **SMALL)
    state = train(run)[-1]
    newest = checkpoint.numbers_in(run.journal.folder)[-1]
    usual = Journal(OsFolder(path, lock=False)).recover()
    (path / checkpoint.name_of(newest)).write_bytes(b"")
    longer = Journal(OsFolder(path, lock=False)).recover()
    assert bits(longer.state) == bits(usual.state) == state
    assert longer.replayed > usual.replayed


def test_with_every_checkpoint_damaged_it_halts(tmp_path: Path) -> None:
    run, path = real_run(tmp_path, **SMALL)
    train(run)
    for file in path.glob("checkpoint-*"):
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DamagedError, match="checkpoints can be read; restore this folder from a backup"):
        recovered(path)


def test_a_checkpoint_that_was_half_written_when_the_power_went_is_no_checkpoint(tmp_path: Path) -> None:
    run, path = real_run(tmp_path, **SMALL)
    state = train(run)[-1]
    newest = path / checkpoint.name_of(run.journal.last)
    newest.with_name(newest.name + ".new").write_bytes(b"half of it")
    assert recovered(path) == state


def test_what_a_later_start_adds_is_found_by_the_next(tmp_path: Path) -> None:
    """Over a torn end, too, which is cut off for good."""
    run, path = real_run(tmp_path)
    before = train(run)[-2]
    run.stop()
    [newest] = path.glob("journal-*.log")
    newest.write_bytes(newest.read_bytes()[:-1])
    (path / "journal.synced").unlink()
    assert recovered(path) == before
    later = again(path)
    later.train(3, "oak", "elm", seed=40)
    assert recovered(path) == bits(later.state)


@pytest.mark.parametrize("seed", range(8))
def test_on_a_disk_that_fills_up_at_any_moment_all_goes_on_when_there_is_room(seed: int) -> None:
    folder = SimFolder("coordinator", random.Random(seed))
    run, twin = Run(folder, **SMALL), Run(SimFolder("twin", random.Random(0)), **SMALL)
    for each in (run, twin):
        each.join("oak", "elm")
    dice = random.Random(seed)
    for number in range(20):
        folder.room = folder.used_bytes + dice.randrange(200)
        try:
            run.delta("oak", number)
        except DiskError:  # of a checkpoint, which the shell only logs
            assert not run.recorder.full
        twin.delta("oak", number)
        full = run.recorder.full
        safe = run.recorder.sync()
        assert (safe < run.recorder.last) == full, "what is not written is not said to be safe"
        folder.room = None
        assert run.recorder.retry()
    assert run.recorder.sync() == run.recorder.last
    folder.crash(power=True)
    assert bits(Journal(folder).recover().state) == bits(run.state) == bits(twin.state)


@pytest.mark.parametrize("seed", range(20))
def test_what_was_safe_survives_a_power_cut_and_the_rest_is_a_beginning_of_what_followed(seed: int) -> None:
    dice = random.Random(seed)
    folder = SimFolder("coordinator", dice)
    run = Run(folder, **SMALL)
    run.join("oak", "elm")
    states, safe = {run.recorder.last: bits(run.state)}, run.recorder.last
    # From here on things are written and only sometimes synced.
    run.recorder.sync = lambda: 0  # type: ignore[method-assign]
    for number in range(dice.randrange(1, 12)):
        for _ in run.delta("oak", number):
            pass
        states[run.recorder.last] = bits(run.state)
        if dice.random() < 0.3:
            safe = run.journal.sync()
    folder.crash(power=True)
    journal = Journal(folder)
    state = journal.recover().state
    assert journal.last >= safe
    # A commit is an entry of its own behind its last delta, and may be lost alone.
    if journal.last in states:
        assert bits(state) == states[journal.last]
    else:
        assert state.fold.count == 2


def test_a_greeting_that_was_not_synced_may_be_forgotten_with_its_device(tmp_path: Path) -> None:
    run, path = real_run(tmp_path)
    train(run)
    before = bits(run.state)
    run.recorder.sync()
    run.recorder.handle(Greeted("ash", 0), 0.0)
    run.recorder.handle(Subscribed("ash", 3), 0.0)
    run.stop()
    [newest] = path.glob("journal-*.log")
    records = [record.offset for record in Journal(OsFolder(path, lock=False))._log.read(1)]
    newest.write_bytes(newest.read_bytes()[: records[-2]])
    (path / "journal.synced").unlink()
    assert recovered(path) == before
