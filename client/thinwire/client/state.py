"""The folder of one device, and what is in it: the store and the spool."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from thinwire.client.spool import Spool
from thinwire.client.store import Store
from thinwire.common.disk import Folder, OsFolder
from thinwire.common.errors import DiskError, SettingsError
from thinwire.common.places import state_folder
from thinwire.common.settings import AgentSettings

OWNER = "device"


class State:
    """Opens the folder; raise SettingsError when it cannot be had, DiskError when it cannot be read."""

    def __init__(self, settings: AgentSettings) -> None:
        chosen = state_folder(settings.state.dir, "devices", settings.device.name)
        self._owned = tempfile.TemporaryDirectory(prefix="thinwire-") if chosen is None else None
        self._path = Path(self._owned.name) if self._owned else Path(chosen or "").absolute()
        self._folder = OsFolder(self._path)
        try:
            _refuse_other_device(self._folder, self._path, settings.device.name)
        except SettingsError:
            self._folder.close()
            raise
        self.store = Store(self._folder)
        self.spool = Spool(self._folder)

    def path(self, name: str = "") -> str:
        """Where the trainer finds a file, or the folder."""
        return str(self._path / name)

    def written(self) -> dict[str, int]:
        """Bytes written since the start, by kind."""
        store, spool = self.store, self.spool
        return {"outbox": store.written_bytes, "residual": store.residual_bytes, "snapshot": spool.written_bytes}

    def close(self) -> None:
        """Let go of the folder, and remove it if it was made for this run."""
        self.spool.close()
        self.store.close()
        self._folder.close()
        if self._owned is not None:
            self._owned.cleanup()


def _refuse_other_device(folder: Folder, path: Path, name: str) -> None:
    # Under another name, what this device has sealed and sent would count once more.
    owner = folder.read(OWNER, 0, 256) if OWNER in folder.names() else b""
    if owner and owner != name.encode():
        raise SettingsError(
            f"state.dir is {str(path)!r}, which holds what device {owner.decode(errors='replace')!r} has sealed and "
            f"learned, but device.name is {name!r}; give each device a folder of its own, or delete the file "
            f"{OWNER!r} in it if that is this very device"
        )
    if not owner:
        with suppress(DiskError):  # a full disk has no room for it, and is told of by what must be written
            folder.replace(OWNER, [name.encode()])
