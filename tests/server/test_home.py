"""The folder of a coordinator has one holder, whichever of its names it is called by."""

import errno
import os
from pathlib import Path

import pytest
from journal_story import LINEAGE, real_run

from thinwire.common.errors import DiskError, SettingsError
from thinwire.server.home import Home


def test_one_run_of_a_coordinator_is_no_state_folder(tmp_path: Path) -> None:
    run, path = real_run(tmp_path)
    run.stop()
    with pytest.raises(SettingsError, match="the folder above"):
        Home(path)


def test_a_new_run_that_cannot_be_put_in_its_place_says_which(tmp_path: Path) -> None:
    home = Home(tmp_path)
    half = home.begin(LINEAGE)
    in_the_way = half.path.with_suffix("")
    (in_the_way / "left").mkdir(parents=True)
    with pytest.raises(DiskError, match=rf"cannot rename .*\.new to {in_the_way.name}: Directory not empty"):
        home.settle(half)
    home.close()


def test_a_state_folder_that_cannot_be_listed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    home = Home(tmp_path)
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DiskError, match=r"cannot list .*: Input/output error"):
        home.newest()
    home.close()


def test_only_a_run_that_was_half_begun_is_cleared_away(tmp_path: Path) -> None:
    for name in ("0001-5f2a9c01.new", "datasets.new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "held").write_text("")
    Home(tmp_path).close()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["datasets.new"]
