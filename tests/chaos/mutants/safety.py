"""Wrong orders of what is written, what is told, and what a checkpoint holds."""

from __future__ import annotations

from collections import deque

import pytest

from thinwire.server import events, recorder, state
from thinwire.sim import safety, sessions


def acknowledged_before_it_is_safe(patch: pytest.MonkeyPatch) -> None:
    """Outcomes and versions are told when they are written, not when they are synced."""
    whole = safety.Safety.wait

    def at_once(self: safety.Safety, decided: recorder.Decided, then: sessions.Then | None = None) -> None:
        whole(self, decided, then)
        if not self._recorder.full:
            self._agenda.soon(lambda: self.alive and self._carry_out(decided.after))

    patch.setattr(safety.Safety, "wait", at_once)


def checkpoint_in_two_parts(patch: pytest.MonkeyPatch) -> None:
    """The model and the memory of deltas are not of the same moment."""
    whole = state.RunState.freeze
    older: dict[bytes, list[object]] = {}

    def freeze(self: state.RunState) -> object:
        frozen, vectors = whole(self)
        now = frozen.ledger
        before = older.get(frozen.identity.lineage, now)
        older[frozen.identity.lineage] = now
        return type(frozen)(**{**_fields(frozen), "ledger": before}), vectors

    patch.setattr(state.RunState, "freeze", freeze)


def checkpoint_without_the_buffer(patch: pytest.MonkeyPatch) -> None:
    """A checkpoint is taken at any time, and what was accepted since the last commit is not in it."""
    whole, frozen = recorder.Recorder.handle, state.RunState.freeze

    def handle(self: recorder.Recorder, event: events.Event, now: float) -> recorder.Decided:
        decided = whole(self, event, now)
        if self.journal is not None and self.journal.checkpoint_due and not self.full:
            self._due = recorder.Checkpoint(self.journal.last, *self.core.state.freeze())
        return decided

    def freeze(self: state.RunState) -> object:
        count, self.fold.count = self.fold.count, 0
        try:
            return frozen(self)
        finally:
            self.fold.count = count

    patch.setattr(recorder.Recorder, "handle", handle)
    patch.setattr(state.RunState, "freeze", freeze)


def commit_that_overtakes_an_outcome(patch: pytest.MonkeyPatch) -> None:
    """A device forgets a delta before it hears that it gets it back."""

    class Hasty(sessions.Feed):
        def next(self, log: object, **how: object) -> object:
            words, self._words = self._words, deque()
            due = super().next(log, **how)  # type: ignore[arg-type]
            self._words = words
            return due or super().next(log, **how)  # type: ignore[arg-type]

    patch.setattr(sessions, "Feed", Hasty)


def _fields(frozen: state.Frozen) -> dict[str, object]:
    return {name: getattr(frozen, name) for name in frozen.__struct_fields__}
