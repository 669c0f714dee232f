"""Sealed deltas that are not yet in the device's base. Their bytes never change; they are only ever sent again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from thinwire.common.values import CHUNK_BYTES, DeltaChunk, DeltaHeader, Sealed


@dataclass(frozen=True, slots=True)
class SealedDelta:
    """One delta: identity, header and bytes."""

    seq: int
    payload: bytes
    header: DeltaHeader
    accepted: bool = False

    @classmethod
    def seal(
        cls, seq: int, payload: bytes, *, buffer_bytes: int, steps: int, loss: float, energy: float = 0.0
    ) -> SealedDelta:
        """Fix the identity of these bytes."""
        digest = hashlib.sha256(payload).digest()
        return cls(seq, payload, DeltaHeader(len(payload), digest, buffer_bytes, steps, loss, energy))

    def chunks(self, received_bytes: int) -> Iterator[DeltaChunk]:
        """What is left to send when the coordinator holds the first `received_bytes`."""
        offset = received_bytes if 0 <= received_bytes < len(self.payload) else 0
        header: DeltaHeader | None = self.header
        while header is not None or offset < len(self.payload):
            data = self.payload[offset : offset + CHUNK_BYTES]
            yield DeltaChunk(self.seq, offset, data, header, end=offset + len(data) == len(self.payload))
            offset, header = offset + len(data), None


class Outbox:
    """The device's deltas from seal to inclusion, in the order of their numbers."""

    def __init__(self) -> None:
        self._held: OrderedDict[int, SealedDelta] = OrderedDict()
        self.owed: list[SealedDelta] = []  # rejected with a refund, while no trainer was there to take it
        self.next_seq = 1

    def add(self, delta: SealedDelta) -> None:
        """Hold a delta that the trainer has just cut."""
        self._held[delta.seq] = delta
        self.next_seq = delta.seq + 1

    def accept(self, seq: int) -> None:
        """The coordinator will use it; it stays until the base holds it."""
        if seq in self._held:
            self._held[seq] = replace(self._held[seq], accepted=True)

    def drop(self, seq: int) -> SealedDelta | None:
        """The coordinator rejected it."""
        return self._held.pop(seq, None)

    def pay(self) -> list[SealedDelta]:
        """What is owed to the next trainer; from here on it is the trainer's."""
        owed, self.owed = self.owed, []
        return owed

    def include(self, through: int) -> None:
        """The base holds every accepted delta up to this number."""
        for seq in [seq for seq in self._held if seq <= through]:
            del self._held[seq]

    def unsettled(self) -> list[SealedDelta]:
        """Deltas without an outcome."""
        return [delta for delta in self._held.values() if not delta.accepted]

    def identities(self) -> tuple[Sealed, ...]:
        """What a Hello asks about."""
        return tuple(Sealed(delta.seq, delta.header.sha256) for delta in self.unsettled())

    def pending(self) -> list[SealedDelta]:
        """Deltas that a new trainer must carry as its own pending work."""
        return list(self._held.values())

    def void(self) -> int:
        """Forget everything, as another lineage has begun; say how many were abandoned."""
        abandoned = len(self._held)
        self._held.clear()
        self.owed.clear()
        self.next_seq = 1
        return abandoned
