"""Deltas on their way in: chunks in order, bounded, resumable after a broken stream."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from thinwire.common.values import DeltaChunk, DeltaHeader, RefusalReason, Staged
from thinwire.server.shelf import Shelf


class StagingError(ValueError):
    """Chunks that cannot become a delta; the stream is refused for `reason`, and nothing is settled."""

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class _Partial:
    seq: int
    header: DeltaHeader
    held: bytearray = field(default_factory=bytearray)
    shelved: bool = False


@dataclass(frozen=True, slots=True)
class WholeDelta:
    """A delta whose bytes hash to what was sealed."""

    seq: int
    header: DeltaHeader
    payload: bytes


class Staging:
    """At most one partial delta a device, and at most `limit_bytes` over all of them, counted when announced.

    With a shelf, what is held outlives this process.
    """

    def __init__(self, max_delta_bytes: int, limit_bytes: int, shelf: Shelf | None = None) -> None:
        self._max_delta_bytes = max_delta_bytes
        self._limit_bytes = limit_bytes
        self._partials: dict[str, _Partial] = {}
        self._shelf = shelf
        for device, seq, header, data in shelf.load(limit_bytes) if shelf else ():
            self._partials[device] = _Partial(seq, header, bytearray(data), shelved=True)

    def staged(self, device: str) -> tuple[Staged, ...]:
        """What is held of this device's unfinished delta, for its Welcome."""
        partial = self._partials.get(device)
        return (Staged(partial.seq, len(partial.held)),) if partial else ()

    def forget(self, device: str) -> None:
        """Drop a partial delta; the device still has the bytes."""
        partial = self._partials.pop(device, None)
        if partial is not None and partial.shelved and self._shelf is not None:
            self._shelf.drop(device)

    def take(self, device: str, chunk: DeltaChunk) -> WholeDelta | None:
        """Add a chunk; the delta when this was its end and the bytes are right; raise StagingError otherwise."""
        if chunk.header is not None:
            self._announce(device, chunk, chunk.header)
        partial = self._partials.get(device)
        if partial is None or partial.seq != chunk.seq or chunk.offset != len(partial.held):
            held = f"{len(partial.held)} bytes of delta {partial.seq}" if partial else "nothing"
            raise StagingError(
                RefusalReason.BAD_REQUEST,
                f"delta {chunk.seq} goes on at byte {chunk.offset}, but {held} is held here",
            )
        if len(partial.held) + len(chunk.data) > partial.header.total_bytes:
            raise self._drop(
                device, f"delta {chunk.seq} is longer than the {partial.header.total_bytes} bytes announced"
            )
        partial.held += chunk.data
        if chunk.end:
            return self._finish(device, partial)
        self._shelve(device, partial, chunk.data)
        return None

    def _shelve(self, device: str, partial: _Partial, data: bytes) -> None:
        # A delta of a single chunk never comes here: there would be nothing to go on with.
        if self._shelf is None:
            return
        if not partial.shelved:
            self._shelf.begin(device, partial.seq, partial.header)
            partial.shelved = True
        self._shelf.add(device, data)

    def _announce(self, device: str, chunk: DeltaChunk, header: DeltaHeader) -> None:
        if not 0 < header.total_bytes <= self._max_delta_bytes:
            raise StagingError(
                RefusalReason.TOO_LARGE,
                f"delta {chunk.seq} announces {header.total_bytes} bytes; 1 to {self._max_delta_bytes} are taken",
            )
        if len(header.sha256) != 32:
            raise StagingError(RefusalReason.BAD_REQUEST, f"a SHA-256 of {len(header.sha256)} bytes")
        partial = self._partials.get(device)
        same = partial is not None and (partial.seq, partial.header.sha256) == (chunk.seq, header.sha256)
        if same and chunk.offset > 0:
            return  # the device goes on with it
        self.forget(device)
        self._make_room(header.total_bytes)
        self._partials[device] = _Partial(chunk.seq, header)

    def _make_room(self, wanted_bytes: int) -> None:
        announced = sum(partial.header.total_bytes for partial in self._partials.values())
        # The oldest partial is the likeliest to belong to a device that is gone; dropping it costs a repetition.
        while self._partials and announced + wanted_bytes > self._limit_bytes:
            oldest = next(iter(self._partials))
            announced -= self._partials[oldest].header.total_bytes
            self.forget(oldest)

    def _finish(self, device: str, partial: _Partial) -> WholeDelta:
        if len(partial.held) != partial.header.total_bytes:
            raise self._drop(
                device,
                f"delta {partial.seq} ends after {len(partial.held)} of {partial.header.total_bytes} bytes",
            )
        payload = bytes(partial.held)
        if hashlib.sha256(payload).digest() != partial.header.sha256:
            raise self._drop(
                device, f"delta {partial.seq} does not hash to what was sealed; it was damaged on the way"
            )
        self.forget(device)
        return WholeDelta(partial.seq, partial.header, payload)

    def _drop(self, device: str, message: str) -> StagingError:
        self.forget(device)
        return StagingError(RefusalReason.BAD_REQUEST, message)
