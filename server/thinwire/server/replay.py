"""A run made anew from its journal: from a checkpoint, through every entry after it, each version held against its
checksum, each later checkpoint bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from thinwire.common import checksum
from thinwire.common.errors import DamagedError, SettingsError
from thinwire.server import checkpoint
from thinwire.server.journal import Journal
from thinwire.server.state import RunState


@dataclass(frozen=True, slots=True)
class Step:
    """A version that came out as it was published; `entries` and `seconds` since the one before it."""

    version: int
    checksum: int
    number: int
    entries: int
    seconds: float


class Replay:
    """One replay; `state` is how far it is."""

    def __init__(self, journal: Journal, start: int | None = None) -> None:
        self._journal = journal
        self._checkpoints = checkpoint.numbers_in(journal.folder)
        self.number, self.state = self._begin(start)
        self.compared = 0

    def steps(self, through_version: int | None = None) -> Iterator[Step]:
        """Go on, to a version or to the end; raise DamagedError where the journal does not add up."""
        if self.state.model.version == through_version:
            return
        began, since = time.perf_counter(), 0
        for number, entry, body in self._journal.read(self.number + 1):
            commit = self.state.apply(entry, body, number)
            self.number, since = number, since + 1
            self._compare(number)
            if commit is None:
                continue
            now = time.perf_counter()
            yield Step(commit.version, self.state.model.checksum, number, since, now - began)
            began, since = now, 0
            if commit.version == through_version:
                break
        self._check_weights()

    def _begin(self, start: int | None) -> tuple[int, RunState]:
        if start is None:
            found = next(checkpoint.readable(self._journal.folder), None)
            if found is None:
                raise DamagedError(f"none of {len(self._checkpoints)} checkpoints can be read")
            return found
        if start not in self._checkpoints:
            kept = ", ".join(map(str, self._checkpoints))
            raise SettingsError(f"no checkpoint of entry {start} is kept; there are those of entries {kept}")
        return start, checkpoint.read(self._journal.folder, start)

    def _compare(self, number: int) -> None:
        # In mid-buffer a state cannot be frozen, and nobody did.
        if number not in self._checkpoints:
            return
        frozen, vectors = self.state.freeze()
        kept, kept_vectors = checkpoint.read(self._journal.folder, number).freeze()
        same = msgspec.msgpack.encode(frozen) == msgspec.msgpack.encode(kept)
        if not same or any(vectors[name].tobytes() != kept_vectors[name].tobytes() for name in vectors):
            raise DamagedError(f"{checkpoint.name_of(number)} is not what the entries up to {number} add up to")
        self.compared += 1

    def _check_weights(self) -> None:
        model = self.state.model
        if checksum.full(model.weights_P) != model.checksum:
            raise DamagedError(f"version {model.version} does not have the checksum that its commits add up to")
