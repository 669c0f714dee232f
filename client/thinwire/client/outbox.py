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
    """The device's deltas from seal to inclusion, in the order of their numbers.

    A delta that is not yet `kept`, durably, is carried but neither sent nor spoken of.
    """

    def __init__(self, sealed: int = 0, settled: int = 0, refunds: int = 0) -> None:
        self._held: OrderedDict[int, SealedDelta] = OrderedDict()
        self.next_seq = sealed + 1
        self.kept_through = sealed
        self.settled_through = settled
        self.refunds = refunds

    def restore(self, delta: SealedDelta, *, accepted: bool) -> None:
        """Hold a delta that was sealed before the agent was started."""
        self._held[delta.seq] = replace(delta, accepted=accepted)

    def add(self, delta: SealedDelta) -> None:
        """Hold a delta that the trainer has just cut."""
        self._held[delta.seq] = delta
        self.next_seq = delta.seq + 1

    def keep(self) -> list[SealedDelta]:
        """All that was added is durable; give what may leave from now on."""
        fresh = [delta for delta in self._held.values() if delta.seq > self.kept_through]
        self.kept_through = self.next_seq - 1
        return fresh

    def find(self, seq: int) -> SealedDelta | None:
        """A delta that is still held."""
        return self._held.get(seq)

    def accept(self, seq: int) -> None:
        """The coordinator will use it; it stays until the base holds it."""
        self.settled_through = max(self.settled_through, seq)
        if seq in self._held:
            self._held[seq] = replace(self._held[seq], accepted=True)

    def drop(self, seq: int) -> SealedDelta | None:
        """The coordinator rejected it."""
        self.settled_through = max(self.settled_through, seq)
        return self._held.pop(seq, None)

    def include(self, through: int) -> bool:
        """The base holds every accepted delta up to this number; say whether that is news."""
        seqs = [seq for seq in self._held if seq <= through]
        for seq in seqs:
            del self._held[seq]
        self.settled_through = max(self.settled_through, *seqs, 0)
        return bool(seqs)

    def unsettled(self) -> list[SealedDelta]:
        """Deltas without an outcome, as far as they are kept."""
        return [delta for delta in self._held.values() if not delta.accepted and delta.seq <= self.kept_through]

    def identities(self) -> tuple[Sealed, ...]:
        """What a Hello asks about."""
        return tuple(Sealed(delta.seq, delta.header.sha256) for delta in self.unsettled())

    def pending(self) -> list[SealedDelta]:
        """Deltas that a new trainer must carry as its own pending work."""
        return list(self._held.values())

    @property
    def undecided(self) -> int:
        """How many deltas have no outcome."""
        return sum(1 for delta in self._held.values() if not delta.accepted)
