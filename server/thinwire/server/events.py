"""What may happen to a coordinator; the shell tells the core, one event at a time."""

from __future__ import annotations

from dataclasses import dataclass

from thinwire.common.values import Sealed


@dataclass(frozen=True, slots=True)
class Started:
    """The process is up, under this leader epoch; the first event of all."""

    leader_epoch: int = 1


@dataclass(frozen=True, slots=True)
class Greeted:
    """A device opened a stream; `epoch` is 0 unless its deltas belong to this lineage.

    The other numbers are what the device knows: its own last seal, its last outcome, the newest version that it held
    and the leader epoch under which it was welcomed.
    """

    device: str
    epoch: int
    unsettled: tuple[Sealed, ...] = ()
    sealed_through: int = 0
    settled_through: int = 0
    version: int = 0
    leader_epoch: int = 0


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A device's trainer is ready."""

    device: str
    examples: int


@dataclass(frozen=True, slots=True)
class Left:
    """A device's stream is gone."""

    device: str


@dataclass(frozen=True, slots=True)
class DeltaSealed:
    """A whole delta arrived, and its bytes hash to what the device sealed; None is for what it did not tell."""

    device: str
    epoch: int
    seq: int
    sha256: bytes
    payload: bytes
    buffer_bytes: int = 0
    loss: float | None = None
    energy: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The model at `version` was measured; metrics are empty when it could not be."""

    version: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Tick:
    """The time that `deadline` named has come."""


Event = Started | Greeted | Subscribed | Left | DeltaSealed | Evaluated | Tick
