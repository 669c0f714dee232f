"""Wrong memories of deltas: none, a short one, or one of numbers alone."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from mutants.agent import sent_before_it_is_safe
from thinwire.common.values import Outcome
from thinwire.server import core, events, greeting, journal, ledger


def no_memory_of_deltas(patch: pytest.MonkeyPatch) -> None:
    """Whatever arrives is taken."""

    def take(self: core.CoordinatorCore, event: events.DeltaSealed) -> list[object]:
        self.ledger._rows[event.device].contiguous = event.seq - 1
        return self._settle(event, self._admit(event))  # type: ignore[return-value]

    patch.setattr(core.CoordinatorCore, "_take", take)


def memory_of_deltas_in_memory(patch: pytest.MonkeyPatch) -> None:
    """A restart forgets which deltas were settled."""
    whole = journal.Journal.recover

    def recover(self: journal.Journal, through_version: int | None = None) -> journal.Recovered:
        found = whole(self, through_version)
        for row in found.state.ledger._rows.values():
            row.contiguous = 0
            row.outcomes.clear()
        return found

    def known(self: ledger.Ledger, device: str, epoch: int, seq: int, sha256: bytes) -> object:
        row = self._rows[device]
        if seq not in row.outcomes:
            row.contiguous = seq - 1
            return None
        return row.outcomes[seq][1]

    patch.setattr(journal.Journal, "recover", recover)
    patch.setattr(ledger.Ledger, "known", known)
    patch.setattr(core, "recognise", _recognise_all)


def sent_before_it_is_safe_and_known_by_number_alone(patch: pytest.MonkeyPatch) -> None:
    """The same, and the coordinator does not look at the bytes of what it has already."""
    sent_before_it_is_safe(patch)
    whole = ledger.Ledger.known

    def known(self: ledger.Ledger, device: str, epoch: int, seq: int, sha256: bytes) -> object:
        row = self._rows[device]
        sha256 = row.outcomes[seq][0] if seq in row.outcomes else sha256
        return whole(self, device, epoch, seq, sha256)

    patch.setattr(ledger.Ledger, "known", known)
    patch.setattr(core, "recognise", _recognise_all)


def outcomes_that_expire_by_the_time_of_day(patch: pytest.MonkeyPatch) -> None:
    """What was settled an hour ago is forgotten, for who would ask so late."""
    _expiring(patch, lambda _: time.time())


def outcomes_that_expire_by_any_clock(patch: pytest.MonkeyPatch) -> None:
    """The same, by the clock that never goes back."""
    now = [0.0]
    whole = core.CoordinatorCore.handle

    def handle(self: core.CoordinatorCore, event: events.Event, at: float) -> list[object]:
        now[0] = at
        return whole(self, event, at)  # type: ignore[return-value]

    patch.setattr(core.CoordinatorCore, "handle", handle)
    _expiring(patch, lambda _: now[0])


def _expiring(patch: pytest.MonkeyPatch, clock: Callable[[None], float]) -> None:
    known, settle = ledger.Ledger.known, ledger.Ledger.settle
    settled_at: dict[tuple[int, str, int], float] = {}

    def expire(self: ledger.Ledger, device: str, epoch: int, seq: int, sha256: bytes) -> object:
        row = self._rows[device]
        at = settled_at.get((id(self), device, seq))
        if at is not None and clock(None) - at > 3600 and row.epoch == epoch and seq == row.contiguous:
            row.contiguous = seq - 1
            row.outcomes.clear()
        return known(self, device, epoch, seq, sha256)

    def note(self: ledger.Ledger, device: str, sha256: bytes, outcome: Outcome) -> None:
        settled_at[id(self), device, outcome.seq] = clock(None)
        settle(self, device, sha256, outcome)

    patch.setattr(ledger.Ledger, "known", expire)
    patch.setattr(ledger.Ledger, "settle", note)


def _recognise_all(event: events.Greeted, row: ledger.Row | None, *_: object) -> greeting.Recognition:
    known = row is not None and event.epoch == row.epoch
    return greeting.Recognition.KNOWN if known else greeting.Recognition.NEW
