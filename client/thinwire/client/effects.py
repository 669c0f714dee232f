"""What the core of an agent wants done; the shell does it, in order."""

from __future__ import annotations

from dataclasses import dataclass

from thinwire.client.intake import SnapshotSlice
from thinwire.client.store import records as store
from thinwire.common import frames
from thinwire.common.values import FromDevice, Welcome


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a stream."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the stream."""

    reason: str


@dataclass(frozen=True, slots=True)
class Send:
    """Say this to the coordinator."""

    message: FromDevice


@dataclass(frozen=True, slots=True)
class SendReport:
    """Tell the coordinator how the device is doing; `final` when the training is over and the model is checked."""

    final: bool = False


@dataclass(frozen=True, slots=True)
class StartTrainer:
    """Start a trainer process for this task."""

    welcome: Welcome
    next_seq: int


@dataclass(frozen=True, slots=True)
class StopTrainer:
    """End the trainer process."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Pass this frame to the trainer."""

    frame: frames.ToTrainer
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Spool:
    """Write a slice of a snapshot to the spool."""

    slice: SnapshotSlice


@dataclass(frozen=True, slots=True)
class GiveBase:
    """The spooled snapshot is complete: hand it to the trainer."""

    version: int
    through: int


@dataclass(frozen=True, slots=True)
class Persist:
    """Write a record down; if it is `synced`, Persisted or DiskRefused comes before anything else happens."""

    record: store.Any
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Flush:
    """Write down what could not be written before; Persisted or DiskRefused follows."""


@dataclass(frozen=True, slots=True)
class Recover:
    """Tell a new trainer what there is of its predecessor's residual; Recovered follows."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something an operator wants to read."""

    level: str  # "debug", "info" or "warning"
    message: str


@dataclass(frozen=True, slots=True)
class Quit:
    """The agent cannot or need not go on."""

    exit_code: int
    message: str


Effect = (
    Dial
    | HangUp
    | Send
    | SendReport
    | StartTrainer
    | StopTrainer
    | Tell
    | Spool
    | GiveBase
    | Persist
    | Flush
    | Recover
    | Note
    | Quit
)
