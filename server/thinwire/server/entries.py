"""What the journal holds: each entry is one change of the run's state, and the state is what they add up to.

An entry is MessagePack under its tag, of at most 32 MiB; the bytes of deltas and commits are the bodies of their
records. Fields are only ever added, with a default, so that a newer coordinator reads what an older one wrote.
"""

from __future__ import annotations

from typing import Any

import msgspec

from thinwire.common.errors import DamagedError


class Entry(msgspec.Struct, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """The base of all entries."""


class Led(Entry, frozen=True):
    """A coordinator process took over, and does its sums by these rules from the next empty buffer on."""

    leader_epoch: int
    software: str = ""
    denominator: str = "all"
    outer: dict[str, float | str] = {}
    density: dict[str, Any] = {}  # DensityRules; nothing for a density that nobody changes


class Greeted(Entry, frozen=True):
    """A device goes on under a new epoch; what it had sealed before and was not settled is abandoned."""

    device: str
    epoch: int
    lost: str = ""


class Joined(Entry, frozen=True):
    """A device takes part, with so many examples."""

    device: str
    examples: int


class Opened(Entry, frozen=True):
    """The training began."""


class Admitted(Entry, frozen=True):
    """A delta was accepted; its sealed bytes are the body.

    Its values, `norm` long, count `weight` times `clip`; its statistics, `buffers_norm` long, `share`. Loss and energy
    are what its device told of it.
    """

    device: str
    epoch: int
    seq: int
    sha256: bytes
    base: int
    weight: float
    share: float
    clip: float = 1.0
    norm: float | None = None
    buffers_norm: float | None = None
    buffer_bytes: int = 0
    loss: float | None = None
    energy: float | None = None


class Rejected(Entry, frozen=True):
    """A delta was rejected."""

    device: str
    epoch: int
    seq: int
    sha256: bytes
    reason: int
    refund: bool = False
    message: str = ""


class Committed(Entry, frozen=True):
    """All that was accepted since the last commit became a version; the body is what every device is sent."""

    version: int
    checksum: int
    folded: int
    kept: int
    buffer_bytes: int = 0
    through: dict[str, tuple[int, int]] = {}


class Evaluated(Entry, frozen=True):
    """A version was measured."""

    version: int
    metrics: dict[str, float]
    hits: int = 0


class Finished(Entry, frozen=True):
    """The training is over."""

    version: int
    reason: str


AnyEntry = Led | Greeted | Joined | Opened | Admitted | Rejected | Committed | Evaluated | Finished

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyEntry] = msgspec.msgpack.Decoder(AnyEntry)


def encode(entry: Entry) -> bytes:
    """The header of the record that holds an entry."""
    return _encoder.encode(entry)


def decode(header: bytes, number: int) -> AnyEntry:
    """The entry of record `number`; raise DamagedError when it is none."""
    try:
        return _decoder.decode(header)
    except msgspec.MsgspecError as error:
        raise DamagedError(
            f"record {number} holds no entry that this version knows ({error}); "
            "use the version that wrote it, or a newer one"
        ) from None
