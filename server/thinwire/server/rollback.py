"""Back to an earlier version: a new lineage that begins with the model as it was then.

What was published cannot be taken back from devices that have it, so the training does not go on under the same name:
the new lineage has accounts of its own, devices greet it as strangers, and their deltas of the old one are abandoned
and counted. The fleet keeps its weights: what a device's delta counts for is no matter of the version. The old run's
folder stays as it is.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec

from thinwire.common.errors import SettingsError
from thinwire.common.view import View
from thinwire.server import checkpoint, entries
from thinwire.server.home import Home
from thinwire.server.journal import Journal
from thinwire.server.state import RunState


@dataclass(frozen=True, slots=True)
class Undone:
    """What a rollback takes back: versions, and deltas that were accepted into them or waited for the next."""

    source: Path
    version: int
    newest: int
    deltas: int
    leader_epoch: int

    @property
    def commits(self) -> int:
        """How many versions are taken back."""
        return self.newest - self.version


def look_back(source: Path, version: int) -> tuple[RunState, Undone]:
    """The run in `source` as it was at a version, and what came after; raise SettingsError when it is not kept."""
    with View(source) as folder:
        journal = Journal(folder)
        undone = _count(journal, source, version)
        oldest = _oldest(journal)
        if not oldest <= version <= undone.newest:
            raise SettingsError(
                f"version {version} is not kept in {source}: versions {oldest} to {undone.newest} are"
                + ("; raise state.keep to have more" if 0 <= version < oldest else "")
            )
        return journal.recover(version).state, undone


def roll_back(home: Home, state: RunState, undone: Undone) -> Path:
    """Begin the new lineage in this home, and give its folder; it is durable, and the newest run, on return."""
    old, vectors = state.freeze()
    identity = msgspec.structs.replace(
        old.identity, lineage=secrets.token_bytes(16), parent=old.identity.lineage, parent_version=undone.version
    )
    # A training that had come to its end goes on: that is what it is rolled back for.
    frozen = msgspec.structs.replace(
        old, identity=identity, leader_epoch=undone.leader_epoch, ledger=[], hits=0,
        phase="training" if old.phase == "finished" else old.phase, reason="",
        members=[(device, examples, 0, 0) for device, examples, *_ in old.members],
    )  # fmt: skip
    half = home.begin(identity.lineage)
    journal = Journal(half)
    journal.begin(RunState.thaw(frozen, vectors))
    journal.close()
    return home.settle(half).path


def _count(journal: Journal, source: Path, version: int) -> Undone:
    newest = deltas = waiting = leader_epoch = 0
    for _, entry, _ in journal.read(journal.first):
        match entry:
            case entries.Led():
                leader_epoch = entry.leader_epoch
            case entries.Admitted():
                waiting += 1
            case entries.Committed():
                newest = entry.version
                deltas += waiting if newest > version else 0
                waiting = 0
    # Where the log holds no commit any more, or no process has taken over since, a checkpoint knows.
    for _, state in checkpoint.readable(journal.folder):
        newest, leader_epoch = max(newest, state.model.version), max(leader_epoch, state.leader_epoch)
    return Undone(source, version, newest, deltas + waiting, leader_epoch)


def _oldest(journal: Journal) -> int:
    return next((state.model.version for _, state in checkpoint.readable(journal.folder)), 0)
