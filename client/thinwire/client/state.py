"""The folder of one device, and what is in it: the store and the spool."""

from __future__ import annotations

import tempfile
from pathlib import Path

from thinwire.client.spool import Spool
from thinwire.client.store import Store
from thinwire.common.disk import OsFolder
from thinwire.common.places import state_folder
from thinwire.common.settings import AgentSettings


class State:
    """Opens the folder; raise SettingsError when it cannot be had, DiskError when it cannot be read."""

    def __init__(self, settings: AgentSettings) -> None:
        chosen = state_folder(settings.state.dir, "devices", settings.device.name)
        self._owned = tempfile.TemporaryDirectory(prefix="thinwire-") if chosen is None else None
        self._path = Path(self._owned.name) if self._owned else Path(chosen or "").absolute()
        self._folder = OsFolder(self._path)
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
