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

from thinwire.common.disk import Folder
from thinwire.common.errors import DamagedError, SettingsError
from thinwire.common.view import View
from thinwire.server import checkpoint, entries
from thinwire.server.home import Home
from thinwire.server.journal import Journal
from thinwire.server.replay import Replay
from thinwire.server.state import RunState


@dataclass(frozen=True, slots=True)
class Undone:
    """What a rollback takes back: versions, and deltas that were accepted into them or waited for the next."""

    source: Path
    version: int
    newest: int
    deltas: int
    leader_epoch: int
    damage: str = ""  # what lies behind it cannot be counted

    @property
    def commits(self) -> int:
        """How many versions are taken back."""
        return self.newest - self.version


def look_back(source: Path, version: int) -> tuple[RunState, Undone]:
    """The run in `source` as it was at a version, and what came after; raise SettingsError when it is not kept.

    Only what leads to that version must be sound, so this is a way out of a damaged journal, too.
    """
    with View(source) as folder:
        return look_back_in(folder, source, version)


def look_back_in(folder: Folder, source: Path, version: int) -> tuple[RunState, Undone]:
    """The same, of a folder that nobody else has open; `source` is what it is called."""
    journal = Journal(folder, salvage=True)
    undone = _count(journal, source, version)
    kept = {state.model.version: number for number, state in checkpoint.readable(folder)}
    if not kept:
        raise DamagedError(f"{source} has no checkpoint that can be read; restore it from a backup")
    if not min(kept) <= version <= undone.newest:
        raise SettingsError(
            f"version {version} is not kept in {source}: versions {min(kept)} to {undone.newest} are"
            + ("; raise state.keep to have more" if 0 <= version < min(kept) else "")
        )
    replay = Replay(journal, kept[max(held for held in kept if held <= version)])
    for _ in replay.steps(version):
        pass
    if replay.state.model.version != version:
        raise DamagedError(f"version {version} lies behind what is damaged: {undone.damage}")
    return replay.state, undone


def roll_back(home: Home, state: RunState, undone: Undone) -> Path:
    """Begin the new lineage in this home, and give its folder; it is durable, and the newest run, on return."""
    lineage = secrets.token_bytes(16)
    half = home.begin(lineage)
    begin_lineage(half, lineage, state, undone)
    return home.settle(half).path


def begin_lineage(folder: Folder, lineage: bytes, state: RunState, undone: Undone) -> None:
    """Write down, in an empty folder, how the new lineage begins; it is durable on return."""
    old, vectors = state.freeze()
    identity = msgspec.structs.replace(
        old.identity, lineage=lineage, parent=old.identity.lineage, parent_version=undone.version
    )
    # A training that had come to its end goes on: that is what it is rolled back for.
    frozen = msgspec.structs.replace(
        old, identity=identity, leader_epoch=undone.leader_epoch, ledger=[], hits=0,
        phase="training" if old.phase == "finished" else old.phase, reason="",
        members=[(device, examples, 0, 0) for device, examples, *_ in old.members],
    )  # fmt: skip
    journal = Journal(folder)
    journal.begin(RunState.thaw(frozen, vectors))
    journal.close()


def _count(journal: Journal, source: Path, version: int) -> Undone:
    newest = deltas = waiting = leader_epoch = 0
    damage = _damage_at_end(journal)
    try:
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
    except DamagedError as error:
        damage = str(error)
    # Where the log holds no commit any more, or no process has taken over since, a checkpoint knows.
    for _, state in checkpoint.readable(journal.folder):
        newest, leader_epoch = max(newest, state.model.version), max(leader_epoch, state.leader_epoch)
    return Undone(source, version, newest, deltas + waiting, leader_epoch, damage)


def _damage_at_end(journal: Journal) -> str:
    try:
        Journal(journal.folder)
    except DamagedError as error:
        return str(error)
    return ""
