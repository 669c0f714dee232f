"""The runs of one coordinator on disk: a folder each, of which the newest is alive.

    STATE_DIR/0001-5f2a9c01/    journal and checkpoints of a lineage
    STATE_DIR/0002-c3d80f42/    the lineage that a rollback or a fresh start began after it
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from thinwire.common.disk import OsFolder
from thinwire.common.errors import DiskError, SettingsError

_RUN = re.compile(r"(\d{4,})-[0-9a-f]{8}")
_HALF = ".new"


class Home:
    """A state folder, held by this process alone; raise SettingsError when another one has it.

    A run that was only half begun when a process ended is cleared away.
    """

    def __init__(self, path: Path) -> None:
        if _RUN.fullmatch(path.name):
            # Whoever holds the folder above would not notice.
            raise SettingsError(
                f"state.dir is {str(path)!r}, which is one run of a coordinator; name the folder above it"
            )
        self.path = path
        self._hold = OsFolder(path)
        for half in path.glob(f"*{_HALF}"):
            # A folder of that ending that somebody else made is none of ours to delete.
            if _RUN.fullmatch(half.name.removesuffix(_HALF)):
                shutil.rmtree(half, ignore_errors=True)

    def newest(self) -> Path | None:
        """The folder of the newest run."""
        return newest_run(self.path)

    def begin(self, lineage: bytes) -> OsFolder:
        """A folder for a new run; it becomes one with `settle`."""
        newest = self.newest()
        number = int(newest.name.split("-")[0]) + 1 if newest else 1
        return OsFolder(self.path / f"{number:04d}-{lineage.hex()[:8]}{_HALF}", lock=False)

    def settle(self, folder: OsFolder) -> OsFolder:
        """Make a folder that `begin` gave the newest run; what is in it must be durable. Raise DiskError."""
        path = folder.path.with_name(folder.path.name.removesuffix(_HALF))
        try:
            folder.path.rename(path)
        except OSError as error:
            raise DiskError(f"cannot rename {folder.path} to {path.name}: {error.strerror}") from None
        self._hold.sync_names()
        return OsFolder(path, lock=False)

    def close(self) -> None:
        """Let another process have the folder."""
        self._hold.close()


def newest_run(path: Path) -> Path | None:
    """The newest run below a state folder, or the folder itself when it is one. Raise DiskError."""
    if _RUN.fullmatch(path.name):
        return path
    if not path.is_dir():
        return None
    try:
        runs = [entry for entry in path.iterdir() if entry.is_dir() and _RUN.fullmatch(entry.name)]
    except OSError as error:
        raise DiskError(f"cannot list {path}: {error.strerror}") from None
    return max(runs, key=lambda run: int(run.name.split("-")[0]), default=None)


def refuse_other_task(kept: str, wanted: str, path: Path) -> None:
    """Raise SettingsError when a folder holds the training of another task."""
    if kept != wanted:
        raise SettingsError(
            f"{path} holds a training of task {kept}, but the settings ask for {wanted}; name another state.dir, "
            "or begin a new training in this one with: thinwire coordinator --fresh"
        )
