"""What an agent writes down, one record each in the order in which it happened.

docs/durability.md has the file's layout. A record's header is one of these as JSON. The body of a Sealed is the delta
itself; the others have none.
"""

from __future__ import annotations

import msgspec

from thinwire.common.errors import DamagedError


class Record(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The base of all records. What is `synced` survives a power cut before anything follows from it."""

    @property
    def synced(self) -> bool:
        """Whether the agent waits for this record."""
        return True


class Joined(Record, frozen=True):
    """Another training, or another life in it, begins: nothing before this concerns it."""

    lineage: bytes
    epoch: int
    leader_epoch: int


class Led(Record, frozen=True):
    """The coordinator was started again."""

    leader_epoch: int


class Sealed(Record, frozen=True):
    """A delta, made on `version`. From here on its bytes never change, and it may leave."""

    seq: int
    version: int
    sha256: bytes
    buffer_bytes: int
    steps: int
    loss: float
    energy: float = 0.0


class Settled(Record, frozen=True):
    """What became of a delta. `refund` counts the rejected ones whose mass the residual gets back; 0 is not one."""

    seq: int
    accepted: bool
    reason: str
    refund: int = 0
    message: str = ""

    @property
    def synced(self) -> bool:
        """Without this record the agent asks again and hears the same; only a refund must not be given twice."""
        return self.refund > 0


class Included(Record, frozen=True):
    """The base holds every accepted delta up to `through`, as of `version`."""

    through: int
    version: int

    @property
    def synced(self) -> bool:
        """The coordinator says so again."""
        return False


class Covered(Record, frozen=True):
    """A file holds the residual after the seal and the refund of these numbers."""

    generation: int
    seals: int
    refunds: int
    file_bytes: int
    crc: int


class Summary(Record, frozen=True):
    """What the records before `floor` came to, so that they can be deleted."""

    floor: int
    lineage: bytes
    epoch: int
    leader_epoch: int
    version: int
    sealed: int
    settled: int
    included: int
    refunds: int
    covered: tuple[Covered, ...]


Any = Joined | Led | Sealed | Settled | Included | Covered | Summary

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)


def encode(record: Record) -> bytes:
    """The header of a record."""
    return _encoder.encode(record)


def decode(header: bytes, number: int) -> Any:
    """The record with this header; raise DamagedError when it is none."""
    try:
        return _decoder.decode(header)
    except msgspec.MsgspecError as error:
        raise DamagedError(f"record {number} of the outbox is of no known kind: {error}") from None
