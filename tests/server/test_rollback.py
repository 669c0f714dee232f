"""Back to an earlier version: the model as it was, accounts of its own, and devices that go on by themselves."""

from pathlib import Path

import pytest
from journal_story import LINEAGE, Run, again, bits, real_run

from thinwire.common.errors import DamagedError, SettingsError
from thinwire.common.view import View
from thinwire.server.audit import verify
from thinwire.server.home import Home, newest_run
from thinwire.server.journal import Journal
from thinwire.server.rollback import look_back, roll_back


def trained(state_dir: Path, **how: object) -> tuple[Run, Path]:
    run, path = real_run(state_dir, checkpoint_bytes=500, segment_bytes=600, server_momentum=0.9, **how)
    run.join("oak", "elm")
    run.train(9, "oak", "elm")
    return run, path


def rolled_back(state_dir: Path, version: int) -> Path:
    home = Home(state_dir)
    source = newest_run(state_dir)
    assert source is not None
    path = roll_back(home, *look_back(source, version))
    home.close()
    return path


def test_the_whole_story(tmp_path: Path) -> None:
    run, old = trained(tmp_path)
    with View(old) as view:
        before = Journal(view).recover(2).state
    old_bits, leader_epoch = bits(run.state), run.state.leader_epoch
    run.stop()

    _state, undone = look_back(old, 2)
    assert (undone.commits, undone.deltas, undone.newest) == (2, 5, 4)
    new = rolled_back(tmp_path, 2)
    assert newest_run(tmp_path) == new != old

    later = again(new)
    model = later.core.model
    assert (model.version, model.checksum) == (2, before.model.checksum)
    assert model.weights_P.tobytes() == before.model.weights_P.tobytes()
    assert model.residual_P.tobytes() == before.model.residual_P.tobytes(), "accepted mass that waits is not lost"
    identity = later.state.identity
    assert (identity.parent, identity.parent_version) == (LINEAGE, 2)
    assert identity.lineage != LINEAGE
    assert later.state.leader_epoch == leader_epoch + 1, "it goes on over the lineages"
    assert later.core.ledger.dump() == []
    assert later.core.share("oak") == 0.5, "a delta of oak counts for what it did"

    later.join("oak", "elm")
    later.train(4, "oak", "elm", seed=50)
    assert (model.version, later.core.phase) == (4, "training")
    with View(new) as view:
        found = verify(view)
        assert (found.problems, found.version) == ([], 4)
        assert bits(Journal(view).recover().state) == bits(later.state)
    # The old run is as it was, and there is a way back to it.
    with View(old) as view:
        assert bits(Journal(view).recover().state) == old_bits


def test_a_version_that_is_not_kept_is_refused_with_those_that_are(tmp_path: Path) -> None:
    run, path = trained(tmp_path, keep_bytes=2500)
    run.train(60, "oak", "elm")
    with pytest.raises(SettingsError, match=r"version 1 is not kept in .*: versions \d\d to 34 are; raise state.keep"):
        look_back(path, 1)
    with pytest.raises(SettingsError, match=r"version 35 is not kept in .*: versions \d\d to 34 are$"):
        look_back(path, 35)


def test_every_version_that_is_kept_can_be_had(tmp_path: Path) -> None:
    _, path = trained(tmp_path)
    for version in range(5):
        state, undone = look_back(path, version)
        assert (state.model.version, state.fold.count) == (version, 0)
        assert undone.deltas == 9 - 2 * version


def test_a_training_that_was_over_goes_on(tmp_path: Path) -> None:
    run, _path = trained(tmp_path, max_commits=4)
    assert run.core.phase == "finished"
    run.stop()
    later = again(rolled_back(tmp_path, 4))
    assert later.core.phase == "training"


def test_a_rollback_can_be_rolled_back_beyond(tmp_path: Path) -> None:
    trained(tmp_path)[0].stop()
    second = rolled_back(tmp_path, 3)
    again(second).stop()
    third = again(rolled_back(tmp_path, 3))
    assert third.core.model.version == 3
    with pytest.raises(SettingsError, match="versions 3 to 3 are"):
        look_back(second, 2)


def test_a_rollback_that_was_cut_off_has_not_been(tmp_path: Path) -> None:
    run, old = trained(tmp_path)
    run.stop()
    home = Home(tmp_path)
    Journal(home.begin(bytes(16)))  # and the process is gone
    home.close()
    assert newest_run(tmp_path) == old
    home = Home(tmp_path)
    home.close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [old.name, "lock"]


def test_it_leads_out_of_a_damaged_journal_to_any_version_before_the_damage(tmp_path: Path) -> None:
    run, path = trained(tmp_path)
    run.stop()
    checksums = [look_back(path, version)[0].model.checksum for version in range(5)]
    for name, byte in damages(path):
        whole = (path / name).read_bytes()
        (path / name).write_bytes(whole[:byte] + bytes([whole[byte] ^ 1]) + whole[byte + 1 :])
        had = []
        for version in range(5):
            try:
                state, undone = look_back(path, version)
            except (SettingsError, DamagedError):
                continue
            had.append(version)
            assert state.model.checksum == checksums[version]
            assert undone.leader_epoch == 1
        assert had, f"byte {byte} of {name} costs every version"
        (path / name).write_bytes(whole)
    # A start, meanwhile, halts at such damage.
    (path / name).write_bytes(whole[:-1])
    with pytest.raises(DamagedError):
        again(path)
    assert "19 records were synced" in look_back(path, 2)[1].damage
    assert again(rolled_back(tmp_path, 2)).core.model.version == 2


def damages(path: Path) -> list[tuple[str, int]]:
    """Places all over the journal."""
    sizes = {file.name: file.stat().st_size for file in sorted(path.glob("journal-*.log"))}
    return [(name, byte) for name, size in sizes.items() for byte in range(40, size, 97)]
