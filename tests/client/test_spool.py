"""Where a snapshot waits: a folder that may not be there, and may not be made."""

from pathlib import Path

import pytest

from thinwire.client.intake import SnapshotSlice
from thinwire.client.spool import Spool
from thinwire.common.errors import SettingsError


def test_a_folder_that_cannot_be_made_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match=r"state\.dir is .*cannot be made: Not a directory"):
        Spool(str(tmp_path / "file" / "state"))


def test_slices_become_one_file_and_a_new_snapshot_begins_anew(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    for data, begins in ((b"old", True), (b"ne", True), (b"w", False)):
        spool.write(SnapshotSlice(1, data, begins, False, 0))
    assert Path(spool.finish()).read_bytes() == b"new"
