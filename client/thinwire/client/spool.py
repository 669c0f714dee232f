"""Where a snapshot waits for the trainer: a file, so that the agent's memory never holds a model."""

from __future__ import annotations

import tempfile
from pathlib import Path

from thinwire.client.intake import SnapshotSlice
from thinwire.common.errors import SettingsError


class Spool:
    """One snapshot at a time, appended slice by slice."""

    def __init__(self, folder: str) -> None:
        self._owned = tempfile.TemporaryDirectory(prefix="thinwire-") if not folder else None
        self._folder = Path(self._owned.name if self._owned else folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"state.dir is {folder!r}, which cannot be made: {error.strerror}") from None
        self._part = self._folder / "snapshot.part"
        self._generation = 0

    def write(self, piece: SnapshotSlice) -> None:
        """Append a slice; the first one of a snapshot starts the file anew."""
        with self._part.open("wb" if piece.begins else "ab") as file:
            file.write(piece.data)

    def finish(self) -> str:
        """Close the file and give the path under which the trainer finds it, and deletes it."""
        self._generation += 1
        whole = self._folder / f"snapshot-{self._generation}.zst"
        self._part.replace(whole)
        return str(whole)

    def close(self) -> None:
        """Remove the folder if it was made for this run."""
        if self._owned is not None:
            self._owned.cleanup()
