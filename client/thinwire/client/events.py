"""What may happen to an agent; the shell tells the core, one event at a time."""

from __future__ import annotations

from dataclasses import dataclass

from thinwire.client.intake import SnapshotIntake
from thinwire.common import frames
from thinwire.common.values import FromCoordinator


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream stands."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The stream is gone, or could not be opened."""

    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    """The coordinator said something."""

    message: FromCoordinator


@dataclass(frozen=True, slots=True)
class TrainerSaid:
    """The trainer said something."""

    frame: frames.FromTrainer
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class TrainerLost:
    """The trainer process has ended."""

    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """The time that `deadline` named has come."""


@dataclass(frozen=True, slots=True)
class Persisted:
    """Every record so far is safe."""


@dataclass(frozen=True, slots=True)
class DiskRefused:
    """Records wait in memory: there is no room for them, or no way to write."""

    reason: str


@dataclass(frozen=True, slots=True)
class SpoolRefused:
    """A slice of a snapshot could not be written; `partial` follows what is there."""

    reason: str
    partial: SnapshotIntake


@dataclass(frozen=True, slots=True)
class Recovered:
    """The trainer has been told what there is of its predecessor's residual; of so many cuts the rest is lost."""

    forgotten_cuts: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Leave:
    """Somebody wants the agent to end, cleanly."""


Event = (
    Opened
    | Closed
    | Received
    | TrainerSaid
    | TrainerLost
    | Tick
    | Persisted
    | DiskRefused
    | SpoolRefused
    | Recovered
    | Leave
)
