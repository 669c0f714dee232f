"""What one device is sent next, message by message.

    words that wait  >  the transfer under way  >  snapshot or next commit  >  Finish

Words go first, because a delta that is rejected must be heard of before the commit or snapshot that settles it: the
device forgets a settled delta, and with it the mass that a rejection would have given back.

A device that takes turns (`waits_for = "outcome"`) trains on one version until its delta has an outcome, and is then
sent the model as it stands: commits that it would only pile up meanwhile are not sent.

A device may subscribe again on one stream, when its trainer was lost. What was under way is then broken off: it would
end on a base that is not there any more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from thinwire.common.values import (
    CHUNK_BYTES,
    CommitChunk,
    CommitHeader,
    Finish,
    FromCoordinator,
    Outcome,
    SnapshotChunk,
    SnapshotHeader,
    Subscribe,
    Welcome,
)
from thinwire.server.commits import CommitLog, PackedSnapshot
from thinwire.server.effects import Finished
from thinwire.server.model import Commit

# What a device may leave unread before its stream is given up; commits are not among these.
MAX_WAITING_WORDS = 4096
MAX_REASON = 1024


@dataclass(frozen=True, slots=True)
class SnapshotWanted:
    """The device needs a snapshot, and the log holds none from which it goes on; keep one and ask again."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Send this; `completed_bytes` is the size of the commit or snapshot that it ends, counted from where it began."""

    word: FromCoordinator
    completed_bytes: int = 0


@dataclass(slots=True)
class _Transfer:
    kind: type[CommitChunk] | type[SnapshotChunk]
    version: int
    payload: bytes
    header: CommitHeader | SnapshotHeader | None
    start: int = 0
    offset: int = 0

    @property
    def complete(self) -> bool:
        return self.offset >= len(self.payload)

    def chunk(self) -> CommitChunk | SnapshotChunk:
        data = self.payload[self.offset : self.offset + CHUNK_BYTES]
        chunk = self.kind(self.version, self.offset, data, self.header)  # type: ignore[arg-type]  # one pair of kinds
        self.offset, self.header = self.offset + len(data), None
        return chunk


class Feed:
    """One stream's outgoing side: where its device stands in the log of commits."""

    def __init__(self, device: str, epoch: int) -> None:
        self.device, self.epoch = device, epoch
        self.subscribed = False
        self.cursor: int | None = None  # the version it was last sent; None for no model at all
        self.overfull = False
        self._enough: int | None = None  # a device that takes turns has no use for commits beyond this version, yet
        self._words: deque[FromCoordinator] = deque()
        self._resume = (0, 0)  # snapshot version and bytes that it already has
        self._transfer: _Transfer | None = None
        self._told_finish = False

    def tell(self, word: FromCoordinator) -> None:
        """Have this sent before anything else; a device that reads nothing becomes `overfull`."""
        if isinstance(word, Outcome) and word.version:
            self._enough = word.version
        if isinstance(word, Welcome):
            self._enough = word.version if word.plan.waits_for == "outcome" else None
        if len(self._words) < MAX_WAITING_WORDS:
            self._words.append(word)
        else:
            self.overfull = True

    def subscribe(self, wish: Subscribe) -> None:
        """The device's trainer stands here now."""
        self.subscribed, self._told_finish = True, False
        self.cursor = wish.version if wish.has_base else None
        self._resume = (wish.snapshot_version, wish.snapshot_bytes)
        self._transfer = None

    def next(self, log: CommitLog, *, open: bool, final: Finished | None) -> Outgoing | SnapshotWanted | None:
        """What to send now, or None when the device has all that there is."""
        if self._words:
            return Outgoing(self._words.popleft())
        if not (self.subscribed and open) or (final is None and self._sated):
            return None
        if self._transfer is None:
            begun = self._begin(log)
            if begun is None or isinstance(begun, SnapshotWanted):
                return begun or self._finish(final)
            self._transfer = begun
        return self._go_on(self._transfer)

    @property
    def _sated(self) -> bool:
        held = self._transfer is None and self.cursor is not None
        return held and self._enough is not None and (self.cursor or 0) >= self._enough

    def _go_on(self, transfer: _Transfer) -> Outgoing:
        chunk = transfer.chunk()
        if not transfer.complete:
            return Outgoing(chunk)
        self.cursor, self._transfer = transfer.version, None
        return Outgoing(chunk, transfer.offset - transfer.start)

    def _begin(self, log: CommitLog) -> _Transfer | SnapshotWanted | None:
        if self.cursor is None or not log.reaches(self.cursor):
            held = log.usable_snapshot
            return self._snapshot(held) if held else SnapshotWanted()
        commit = log.after(self.cursor)
        return self._commit(commit) if commit else None

    def _commit(self, commit: Commit) -> _Transfer:
        header = CommitHeader(len(commit.payload), commit.buffer_bytes, self._through(commit.through))
        return _Transfer(CommitChunk, commit.version, commit.payload, header)

    def _snapshot(self, snapshot: PackedSnapshot) -> _Transfer:
        header = SnapshotHeader(len(snapshot.packed), snapshot.sha256, self._through(snapshot.through))
        version, held = self._resume
        start = held if version == snapshot.version and held < len(snapshot.packed) else 0
        self._resume = (0, 0)
        return _Transfer(SnapshotChunk, snapshot.version, snapshot.packed, header, start, start)

    def _through(self, settled: dict[str, tuple[int, int]]) -> int:
        # Numbers of another epoch belong to another outbox of the same device.
        epoch, through = settled.get(self.device, (0, 0))
        return through if epoch == self.epoch else 0

    def _finish(self, final: Finished | None) -> Outgoing | None:
        if final is None or self._told_finish or self.cursor != final.version:
            return None
        self._told_finish = True
        return Outgoing(Finish(final.version, final.reason[:MAX_REASON]))
