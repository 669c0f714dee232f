"""The model on its way in: what to ask for, and how chunks become snapshots and commits for the trainer."""

from __future__ import annotations

from collections.abc import Callable

from thinwire.client.custody import Custody
from thinwire.client.effects import Effect, GiveBase, HangUp, Send, Spool, Tell
from thinwire.client.intake import CommitIntake, IntakeError, SnapshotIntake
from thinwire.client.seat import Seat
from thinwire.common import frames
from thinwire.common.values import CommitChunk, SnapshotChunk, Subscribe


class Download:
    """Follows one snapshot across streams, and one commit after another within one; `partial` is half a snapshot."""

    def __init__(self, seat: Seat, custody: Custody, partial: SnapshotIntake | None) -> None:
        self._seat, self._custody = seat, custody
        self._snapshot = partial or SnapshotIntake()
        self._commit = CommitIntake()
        self.snapshot_coming = False
        self.finish_at: int | None = None  # the last version of the training

    @property
    def busy(self) -> bool:
        """Whether a commit is under way."""
        return self._commit.busy

    def begin(self) -> None:
        """Another training: nothing of the model of the one before is of use."""
        self._snapshot.forget()
        self.finish_at = None

    def resume(self, partial: SnapshotIntake) -> None:
        """The disk holds so much of a snapshot, whatever came since."""
        self._snapshot = partial

    def lose_link(self) -> None:
        """Half a commit is worth nothing, half a snapshot is gone on with."""
        self._commit, self.snapshot_coming = CommitIntake(), False

    def subscribe(self) -> list[Effect]:
        """Ask for what the trainer lacks."""
        ready, base = self._seat.ready, self._seat.base
        assert ready is not None
        partial = (self._snapshot.version, self._snapshot.received_bytes)
        return [Send(Subscribe(base is not None, base or 0, *partial, ready.examples))]

    def take_snapshot(self, chunk: SnapshotChunk) -> list[Effect]:
        """A slice of a snapshot."""
        return _guarded(lambda: self._take_snapshot(chunk))

    def take_commit(self, chunk: CommitChunk) -> list[Effect]:
        """A slice of a commit; something is told when it was the last."""
        return _guarded(lambda: self._take_commit(chunk))

    def conclude(self) -> list[Effect]:
        """Have the trainer stop at the last version, if that is known and it has a base."""
        if self.finish_at is None or self._seat.base is None:
            return []
        return [Tell(frames.Conclude(version=self.finish_at))]

    def _take_snapshot(self, chunk: SnapshotChunk) -> list[Effect]:
        part = self._snapshot.take(chunk)
        self.snapshot_coming = not part.complete
        if not part.complete:
            return [Spool(part)]
        self._snapshot.forget()
        if self._seat.ready is None:
            return [Spool(part)]
        self._seat.base = part.version
        included = self._custody.include(part.included_through, part.version)
        return [Spool(part), *included, GiveBase(part.version, part.included_through), *self.conclude()]

    def _take_commit(self, chunk: CommitChunk) -> list[Effect]:
        whole, base = self._commit.take(chunk), self._seat.base
        if whole is None or base is None:
            return []
        if whole.version != base + 1:
            return [HangUp(f"commit {whole.version} came on top of version {base}")]
        self._seat.base = whole.version
        through = whole.header.included_through
        included = self._custody.include(through, whole.version)
        frame = frames.CommitFrame(version=whole.version, buffer_bytes=whole.header.buffer_bytes, through=through)
        return [*included, Tell(frame, whole.payload)]


def _guarded(take: Callable[[], list[Effect]]) -> list[Effect]:
    try:
        return take()
    except IntakeError as error:
        return [HangUp(str(error))]
