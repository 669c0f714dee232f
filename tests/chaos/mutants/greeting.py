"""Wrong answers to machines that are set back, and wrong rollbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from thinwire.common.values import Hello
from thinwire.server import core, events, greeting, ledger, reception, rollback, state
from thinwire.sim import operator


def device_set_back_without_a_new_epoch(patch: pytest.MonkeyPatch) -> None:
    """A device whose store is older than its account goes on as if nothing had happened."""
    _forgiving(patch, {greeting.Recognition.SET_BACK, greeting.Recognition.OLDER_EPOCH, greeting.Recognition.CONFLICT})


def coordinator_set_back_without_a_word(patch: pytest.MonkeyPatch) -> None:
    """Devices that know more than the coordinator are welcomed, and keep what they know."""
    _forgiving(patch, {greeting.Recognition.AHEAD})


def _forgiving(patch: pytest.MonkeyPatch, forgiven: set[greeting.Recognition]) -> None:
    def recognise(event: events.Greeted, row: ledger.Row | None, *standing: int) -> greeting.Recognition:
        found = greeting.recognise(event, row, *standing)
        if found not in forgiven:
            return found
        return greeting.Recognition.KNOWN if row and event.epoch == row.epoch else greeting.Recognition.NEW

    patch.setattr(core, "recognise", recognise)


def rollback_under_the_old_name(patch: pytest.MonkeyPatch) -> None:
    """After a rollback the lineage is the same, and two versions have one number."""
    whole = operator.begin_lineage

    def begin(folder: object, lineage: bytes, state: state.RunState, undone: rollback.Undone) -> None:
        whole(folder, state.identity.lineage, state, undone)  # type: ignore[arg-type]

    patch.setattr(operator, "begin_lineage", begin)


def rollback_that_keeps_the_accounts(patch: pytest.MonkeyPatch) -> None:
    """The accounts of the lineage that was dropped settle the deltas of the new one, by their numbers."""
    whole, greeted = state.RunState.thaw, reception.greeted

    def thaw(frozen: state.Frozen, vectors: dict[str, object]) -> state.RunState:
        kept = accounts.get(frozen.identity.parent)
        if kept is not None and not frozen.ledger:
            frozen = msgspec.structs.replace(frozen, ledger=kept)
        accounts[frozen.identity.lineage] = frozen.ledger
        return whole(frozen, vectors)  # type: ignore[arg-type]

    def known(hello: Hello, lineage: bytes) -> events.Greeted:
        return greeted(replace(hello, lineage=lineage), lineage)

    accounts: dict[bytes, list[object]] = {}
    patch.setattr(state.RunState, "thaw", staticmethod(thaw))
    patch.setattr(reception, "greeted", known)


def rollback_after_which_every_device_begins_anew(patch: pytest.MonkeyPatch) -> None:
    """In a lineage that a rollback began, a device that comes back is a stranger each time."""
    _strangers(patch, lambda: True)


def rollback_of_a_backup_after_which_every_device_begins_anew(patch: pytest.MonkeyPatch) -> None:
    """The same, where an older backup had been put back before: that excuses nothing in the new lineage."""
    put_back: list[bool] = []
    plan, restore = operator.Operator.plan, operator.Operator._restore

    def planned(self: operator.Operator, until: float, *, mistaken: bool) -> None:
        put_back.clear()
        plan(self, until, mistaken=mistaken)

    def restored(self: operator.Operator) -> None:
        put_back.append(True)
        restore(self)

    patch.setattr(operator.Operator, "plan", planned)
    patch.setattr(operator.Operator, "_restore", restored)
    _strangers(patch, lambda: bool(put_back))


def _strangers(patch: pytest.MonkeyPatch, when: Callable[[], bool]) -> None:
    whole = core.CoordinatorCore._greet

    def greet(self: core.CoordinatorCore, event: events.Greeted) -> list[object]:
        strange = self.state.identity.parent and when()
        return whole(self, replace(event, epoch=0) if strange else event)  # type: ignore[return-value]

    patch.setattr(core.CoordinatorCore, "_greet", greet)
