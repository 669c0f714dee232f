"""What the core of a coordinator wants done; the shell does it in order, and not before what it wrote is safe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinwire.common.values import Outcome, RefusalReason
from thinwire.server.entries import Entry
from thinwire.server.model import Commit

Vector = NDArray[np.float32]

# A device that cannot be recognised will not be a moment later either.
UNRECOGNISED_S = 10.0
# A disk that is full will be for a while.
NO_ROOM_S = 120.0


@dataclass(frozen=True, slots=True)
class Write:
    """Put this into the journal; the effects after it wait until it is safe."""

    entry: Entry
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Recognised:
    """The epoch of a device, and outcomes of what it asked about; `lost` says why it is a new epoch, if it is one.

    `density` is that of its next delta; None for the plan's own.
    """

    device: str
    epoch: int
    outcomes: tuple[Outcome, ...]
    lost: str = ""
    density: float | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """A delta has its outcome; tell the device. `repeated` when it is not news."""

    device: str
    outcome: Outcome
    staleness: int = 0
    packed_bytes: int = 0
    kept: int = 0
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """What a device says cannot be, or not here. End the stream; it may come again after so many seconds."""

    device: str
    message: str
    reason: RefusalReason = RefusalReason.BAD_REQUEST
    retry_after_s: float = UNRECOGNISED_S


@dataclass(frozen=True, slots=True)
class Opened:
    """Enough devices are here: the training begins, and snapshots may go out."""


@dataclass(frozen=True, slots=True)
class Published:
    """A new version."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class Rerated:
    """A device shall send another share of the parameters from now on; tell it, if it is here."""

    device: str
    density: float


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Measure this model; the arrays are copies."""

    version: int
    weights_P: Vector
    buffers_B: Vector


@dataclass(frozen=True, slots=True)
class Finished:
    """The training is over at this version."""

    version: int
    reason: str


Effect = Write | Recognised | Settled | Refused | Opened | Published | Rerated | Evaluate | Finished
