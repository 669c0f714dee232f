"""What may happen to an agent; the shell tells the core, one event at a time."""

from __future__ import annotations

from dataclasses import dataclass

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


Event = Opened | Closed | Received | TrainerSaid | TrainerLost | Tick
