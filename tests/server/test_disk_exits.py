"""How the coordinator's process ends when its disk fails, is damaged or cannot be written."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from journal_story import bits, real_run

from thinwire.common.disk import OsFolder
from thinwire.common.errors import SettingsError
from thinwire.common.exits import Exit
from thinwire.server import entries
from thinwire.server.home import Home
from thinwire.server.journal import Journal

# The second sync is the first after the journal was opened.
FAILING = """
import errno, os, sys
from thinwire.cli.main import main
syncs = 0
def fdatasync(handle):
    global syncs
    syncs += 1
    if syncs == 2:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
if sys.argv.pop(1) == "failing":
    os.fdatasync = fdatasync
main()
"""


def coordinate(state_dir: Path, disk: str = "sound") -> subprocess.CompletedProcess[str]:
    """A coordinator's process, to its end."""
    sets = (
        f'state.dir="{state_dir}"', 'task.id="story"', 'tasks.story="thinwire.bench.line:Line"',
        'listen.address="127.0.0.1:0"', 'listen.metrics=""',
    )  # fmt: skip
    options = [option for setting in sets for option in ("--set", setting)]
    return subprocess.run(
        [sys.executable, "-c", FAILING, disk, "coordinator", *options], capture_output=True, text=True, check=False
    )


def test_the_process_ends_with_8_when_the_disk_fails_and_its_successor_finds_all_that_was_told(tmp_path: Path) -> None:
    before, path = real_run(tmp_path / "state")
    before.join("oak", "elm")
    before.train(5, "oak", "elm")
    before.stop()
    ended = coordinate(tmp_path / "state", "failing")
    assert ended.returncode == Exit.DISK
    assert f"cannot sync {path}/journal-0000000000000001.log: Input/output error" in ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    state = Journal(OsFolder(path, lock=False)).recover().state
    state.lead(entries.Led(leader_epoch=1, outer=before.state._rules[1]))
    assert bits(state) == bits(before.state)


def test_the_process_ends_with_8_when_its_journal_is_damaged(tmp_path: Path) -> None:
    before, path = real_run(tmp_path / "state")
    before.join("oak", "elm")
    before.stop()
    journal = path / "journal-0000000000000001.log"
    journal.write_bytes(journal.read_bytes()[:-5])
    ended = coordinate(tmp_path / "state")
    assert ended.returncode == Exit.DISK
    assert "is damaged (the file ends within a record); restore this folder from a backup" in ended.stderr


def test_a_folder_that_cannot_be_written_is_a_setting_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    (tmp_path / "state").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(SettingsError, match=r"state.dir is '.*', which cannot be used: Read-only file system"):
            Home(tmp_path / "state")
    # And for a whole process: below a file there is no folder.
    (tmp_path / "file").write_text("")
    ended = coordinate(tmp_path / "file" / "state")
    assert ended.returncode == Exit.SETTINGS
    assert "file/state', which cannot be used: " in ended.stderr
