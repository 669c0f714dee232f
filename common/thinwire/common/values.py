"""What agent and coordinator say to each other, as plain frozen values.

Field names are those of `proto/thinwire/v1/session.proto`, which documents each with its unit; `thinwire.common.wire`
turns one into the other. Nothing behind that border knows protobuf.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

PROTOCOL = 1
CHUNK_BYTES = 64 * 1024  # above this, building a protobuf bytes field falls from memory speed to a crawl
NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,62}"


class Verdict(enum.IntEnum):
    """The two ways a delta can end at the coordinator."""

    ACCEPTED = 1
    REJECTED = 2


class RejectReason(enum.IntEnum):
    """Why a delta was rejected; a closed set, safe as a metric label."""

    NONE = 0
    BAD_FORMAT = 1
    WRONG_LAYOUT = 2
    UNKNOWN_VERSION = 3
    TOO_STALE = 4
    BAD_VALUES = 5
    FINISHED = 6
    OUTLIER = 7


class RefusalReason(enum.IntEnum):
    """Why a stream was refused; a closed set, safe as a metric label."""

    NONE = 0
    PROTOCOL_VERSION = 1
    BAD_NAME = 2
    IDENTITY_MISMATCH = 3
    FENCED = 4
    BAD_REQUEST = 5
    TOO_LARGE = 6
    FULL = 7
    SHUTTING_DOWN = 8
    STATE_REGRESSED = 9
    DISK_FULL = 10
    RATE_LIMITED = 11


@dataclass(frozen=True, slots=True)
class Plan:
    """How a device trains and what it may send; an empty word means what is usual, and costs nothing on the wire."""

    local_steps: int = 10
    density: float = 0.05
    window: int = 8
    omega: float = 0.5
    server_gain: float = 1.0
    optimizer: str = "sgd"
    learning_rate: float = 0.05
    momentum: float = 0.0
    values: str = "log3"
    overlap: bool = True
    max_delta_bytes: int = 32 << 20
    residual: str = ""
    taylor: float = 0.0
    drift: float = 0.0
    drift_memory: float = 0.0
    merge: str = ""
    mix: float = 0.0
    mask_momentum: bool = False
    proximal: float = 0.0
    selection: str = ""
    mask_seed: int = 0
    waits_for: str = ""
    rebase: str = ""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The identity of one sealed delta."""

    seq: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """The first words on a stream."""

    device: str
    protocol: int = PROTOCOL
    lineage: bytes = b""
    epoch: int = 0
    unsettled: tuple[Sealed, ...] = ()
    software: str = ""
    sealed_through: int = 0
    settled_through: int = 0
    version: int = 0
    leader_epoch: int = 0


@dataclass(frozen=True, slots=True)
class Staged:
    """How much of a delta the coordinator holds from an earlier stream."""

    seq: int
    received_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a delta, settled for ever."""

    seq: int
    verdict: Verdict
    reason: RejectReason = RejectReason.NONE
    refund: bool = False
    message: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Welcome:
    """The coordinator knows the device and says how to go on."""

    lineage: bytes
    epoch: int
    task: str
    task_params: str
    layout_hash: bytes
    plan: Plan
    version: int
    staged: tuple[Staged, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    leader_epoch: int = 0


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The trainer stands here; send what is missing, then every commit."""

    has_base: bool
    version: int = 0
    snapshot_version: int = 0
    snapshot_bytes: int = 0
    examples: int = 1


@dataclass(frozen=True, slots=True)
class DeltaHeader:
    """What a delta is, before its bytes."""

    total_bytes: int
    sha256: bytes
    buffer_bytes: int = 0
    steps: int = 0
    loss: float = 0.0
    energy: float = 0.0


@dataclass(frozen=True, slots=True)
class DeltaChunk:
    """A slice of a sealed delta. Only `end` ends it; the end of a stream never does."""

    seq: int
    offset: int
    data: bytes
    header: DeltaHeader | None = None
    end: bool = False


@dataclass(frozen=True, slots=True)
class CommitHeader:
    """What concerns one device, beside a commit's bytes."""

    total_bytes: int
    buffer_bytes: int = 0
    included_through: int = 0


@dataclass(frozen=True, slots=True)
class CommitChunk:
    """A slice of a commit; the same bytes for every device."""

    version: int
    offset: int
    data: bytes
    header: CommitHeader | None = None


@dataclass(frozen=True, slots=True)
class SnapshotHeader:
    """What a packed snapshot is, before its bytes."""

    total_bytes: int
    sha256: bytes
    included_through: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotChunk:
    """A slice of a packed snapshot."""

    version: int
    offset: int
    data: bytes
    header: SnapshotHeader | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The training is over."""

    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the coordinator does not go on with this device."""

    reason: RefusalReason
    message: str
    fatal: bool = False
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """How a device is doing since its agent's start; counters only grow."""

    version: int = 0
    checksum: int = 0
    has_checksum: bool = False
    wire_sent_bytes: int = 0
    wire_received_bytes: int = 0
    rtt_s: float = 0.0
    goodput_up: float = 0.0
    transfer_s: float = 0.0
    hidden_s: float = 0.0
    compute_s: float = 0.0
    wait_s: float = 0.0
    steps: int = 0
    cuts: int = 0
    residual_norm: float = 0.0
    delay_steps: int = 0
    trainer_restarts: int = 0
    agent_rss_bytes: int = 0
    trainer_rss_bytes: int = 0
    abandoned: int = 0
    forgotten_cuts: int = 0
    delay_least: int = 0
    delay_median: int = 0
    delay_p95: int = 0
    storage_refused: bool = False

    @property
    def overlap_ratio(self) -> float:
        """Share of the transfer time in which the trainer computed."""
        return self.hidden_s / self.transfer_s if self.transfer_s > 0 else 0.0

    @property
    def busy_ratio(self) -> float:
        """Share of the time in which the trainer computed rather than waited for the network."""
        active_s = self.compute_s + self.wait_s
        return self.compute_s / active_s if active_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Echo:
    """A time probe."""

    token: bytes


FromDevice = Hello | Subscribe | DeltaChunk | Report | Echo
FromCoordinator = Welcome | SnapshotChunk | CommitChunk | Outcome | Plan | Finish | Refusal | Echo
