"""Wrong designs, each of which somebody would find plausible. The simulation must find every one of them.

The first thirteen are the usual ways in which residuals, retries and restarts go wrong together; the others are
mistakes that were made here, or nearly. Each takes a MonkeyPatch and puts its mistake into the product's own classes.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from thinwire.client import core, custody, outbox
from thinwire.client.effects import Effect, Send, Tell
from thinwire.client.events import Closed, Event
from thinwire.client.store import account, records
from thinwire.common import frames
from thinwire.common.codec import Limits, Packet, ValueCode, pack, quantise, unpack
from thinwire.common.errors import DiskError
from thinwire.common.log import Log
from thinwire.common.values import Hello, Outcome, Welcome
from thinwire.server import core as server_core
from thinwire.server import events, greeting, journal, ledger, reception, recorder, rollback, state
from thinwire.sim import operator, safety, sessions
from thinwire.trainer import course
from thinwire.trainer.replica import Cut, Replica

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], None]


def fire_and_forget(patch: Patch) -> None:
    """What was sent is not kept: a stream that breaks takes it along."""
    whole = core.AgentCore._go_offline

    def lose(self: core.AgentCore, reason: str, now: float, at_least_s: float = 0.0) -> list[Effect]:
        for delta in self.outbox.unsettled():
            self.outbox.drop(delta.seq)
        return whole(self, reason, now, at_least_s)

    patch.setattr(core.AgentCore, "_go_offline", lose)


def subtract_on_acknowledgement(patch: Patch) -> None:
    """What is sealed stays in the residual until the coordinator has it, and is sealed again meanwhile."""
    whole = Replica.cut

    def cut(self: Replica, density: float, code: ValueCode, steps: int, **more: object) -> Cut:
        made = whole(self, density, code, steps, **more)  # type: ignore[arg-type]
        self.residual_P[made.index_K] += made.quantised.value_K
        return made

    patch.setattr(Replica, "cut", cut)


def select_again_on_retry(patch: Patch) -> None:
    """A retry sends what is largest now, under the old number."""
    whole = core.AgentCore._go_on

    def fresher(delta: outbox.SealedDelta) -> outbox.SealedDelta:
        size = int.from_bytes(delta.payload[24:28], "little")
        found = unpack(delta.payload, Limits(delta.payload[8:16], size, size))
        if len(found.index_K) < 2:
            return delta
        kept = quantise(found.value_K[1:], ValueCode.FP32)
        payload = pack(Packet(delta.payload[8:16], found.base, size, found.index_K[1:], kept))
        header = replace(delta.header, total_bytes=len(payload), sha256=hashlib.sha256(payload).digest())
        return replace(delta, payload=payload, header=header)

    def go_on(self: core.AgentCore, welcome: Welcome, now: float) -> list[Effect]:
        for delta in self.outbox.unsettled():
            self.outbox._held[delta.seq] = fresher(delta)
        return whole(self, welcome, now)

    patch.setattr(core.AgentCore, "_go_on", go_on)


def timeout_taken_for_a_rejection(patch: Patch) -> None:
    """A broken stream gives the delta back, though the coordinator may have it already."""
    whole = core.AgentCore.handle

    def handle(self: core.AgentCore, event: Event, now: float) -> list[Effect]:
        effects = whole(self, event, now)
        if isinstance(event, Closed):
            for delta in self.outbox.unsettled():
                self.outbox.drop(delta.seq)
                effects.append(Tell(frames.Rejection(seq=delta.seq, refund=True)))
        return effects

    patch.setattr(core.AgentCore, "handle", handle)


def no_memory_of_deltas(patch: Patch) -> None:
    """Whatever arrives is taken."""

    def take(self: server_core.CoordinatorCore, event: events.DeltaSealed) -> list[object]:
        self.ledger._rows[event.device].contiguous = event.seq - 1
        return self._settle(event, self._admit(event))  # type: ignore[return-value]

    patch.setattr(server_core.CoordinatorCore, "_take", take)


def memory_of_deltas_in_memory(patch: Patch) -> None:
    """A restart forgets which deltas were settled."""
    whole = journal.Journal.recover
    no_memory_after = {}

    def recover(self: journal.Journal, through_version: int | None = None) -> journal.Recovered:
        found = whole(self, through_version)
        for row in found.state.ledger._rows.values():
            row.contiguous = 0
            row.outcomes.clear()
        no_memory_after[id(found.state.ledger)] = True
        return found

    def known(self: ledger.Ledger, device: str, epoch: int, seq: int, sha256: bytes) -> object:
        row = self._rows[device]
        if seq not in row.outcomes:
            row.contiguous = seq - 1
            return None
        return row.outcomes[seq][1]

    patch.setattr(journal.Journal, "recover", recover)
    patch.setattr(ledger.Ledger, "known", known)
    patch.setattr(server_core, "recognise", _recognise_all)


def acknowledged_before_it_is_safe(patch: Patch) -> None:
    """Outcomes and versions are told when they are written, not when they are synced."""
    whole = safety.Safety.wait

    def at_once(self: safety.Safety, decided: recorder.Decided, then: sessions.Then | None = None) -> None:
        whole(self, decided, then)
        if not self._recorder.full:
            self._agenda.soon(lambda: self.alive and self._carry_out(decided.after))

    patch.setattr(safety.Safety, "wait", at_once)


def sent_before_it_is_safe(patch: Patch) -> None:
    """A delta leaves while its seal is still being written."""
    whole = custody.Custody.seal

    def seal(self: custody.Custody, frame: frames.SealedFrame, payload: bytes) -> list[Effect]:
        effects = whole(self, frame, payload)
        return [*effects, *(Send(chunk) for delta in self.outbox.keep() for chunk in delta.chunks(0))]

    patch.setattr(custody.Custody, "seal", seal)
    patch.setattr(records.Sealed, "synced", property(lambda _: False))


def sent_before_it_is_safe_and_known_by_number_alone(patch: Patch) -> None:
    """The same, and the coordinator does not look at the bytes of what it has already."""
    sent_before_it_is_safe(patch)
    whole = ledger.Ledger.known

    def known(self: ledger.Ledger, device: str, epoch: int, seq: int, sha256: bytes) -> object:
        row = self._rows[device]
        sha256 = row.outcomes[seq][0] if seq in row.outcomes else sha256
        return whole(self, device, epoch, seq, sha256)

    patch.setattr(ledger.Ledger, "known", known)
    patch.setattr(server_core, "recognise", _recognise_all)


def residual_without_its_mask(patch: Patch) -> None:
    """An old residual is taken as it is, with what was sealed since still in it."""
    patch.setattr(Replica, "mask", lambda self, index_K: None)


def refund_apart_from_its_outcome(patch: Patch) -> None:
    """Nothing says whether a saved residual has had a refund, so it may come twice."""

    def is_in(self: account.Change, covered: records.Covered) -> bool:
        return False if self.refund else self.seq <= covered.seals

    patch.setattr(account.Change, "is_in", is_in)


def checkpoint_in_two_parts(patch: Patch) -> None:
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


def checkpoint_without_the_buffer(patch: Patch) -> None:
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


# -- mistakes that were made here, or nearly -------------------------------------------------------------------------


def commit_that_overtakes_an_outcome(patch: Patch) -> None:
    """A device forgets a delta before it hears that it gets it back."""

    class Hasty(sessions.Feed):
        def next(self, log: object, **how: object) -> object:
            words, self._words = self._words, deque()
            due = super().next(log, **how)  # type: ignore[arg-type]
            self._words = words
            return due or super().next(log, **how)  # type: ignore[arg-type]

    patch.setattr(sessions, "Feed", Hasty)


def end_minus_start(patch: Patch) -> None:
    """A device uploads the commits that came while it trained as well."""

    class Echoing(Replica):
        def cut(self, *how: object, **more: object) -> Cut:
            began_P = getattr(self, "began_P", self.base_P)
            self._absorb()
            self.unsent_P[:] = self.working_P - began_P
            made = super().cut(*how, **more)  # type: ignore[arg-type]
            self.began_P = self.working_P.copy()
            return made

    patch.setattr(course, "Replica", Echoing)


def included_deltas_stay_pending(patch: Patch) -> None:
    """A device trains on a model that has its own delta twice: in the commit, and as its own pending work."""
    patch.setattr(Replica, "_include", lambda self, through, steps: None)


def broken_end_taken_for_a_torn_one(patch: Patch) -> None:
    """Nothing says how far a log was synced, and damage at its end is cut off."""
    patch.setattr(Log, "_read_mark", lambda _: 0)


def failed_sync_ignored(patch: Patch) -> None:
    """A disk that says that it could not sync is asked no more, and believed to have."""
    whole = Log.sync

    def sync(self: Log) -> int:
        try:
            return whole(self)
        except DiskError:
            return self.next - 1

    patch.setattr(Log, "sync", sync)


def summary_that_forgets_the_residual(patch: Patch) -> None:
    """A start after a summary holds the saved residual for older than it is, and begins with none."""

    def presume(self: account.Account, record: records.Summary) -> None:
        self.lineage, self.epoch = record.lineage, record.epoch
        self.leader_epoch = max(self.leader_epoch, record.leader_epoch)
        self.sealed, self.settled = max(self.sealed, record.sealed), max(self.settled, record.settled)
        self.refunds = max(self.refunds, record.refunds)
        for covered in record.covered:
            self._cover(covered)

    patch.setattr(account.Account, "presume", presume)


# -- machines that are set back, and clocks that jump ----------------------------------------------------------------


def device_set_back_without_a_new_epoch(patch: Patch) -> None:
    """A device whose store is older than its account goes on as if nothing had happened."""
    _forgiving(patch, {greeting.Recognition.SET_BACK, greeting.Recognition.OLDER_EPOCH, greeting.Recognition.CONFLICT})


def coordinator_set_back_without_a_word(patch: Patch) -> None:
    """Devices that know more than the coordinator are welcomed, and keep what they know."""
    _forgiving(patch, {greeting.Recognition.AHEAD})


def _forgiving(patch: Patch, forgiven: set[greeting.Recognition]) -> None:
    def recognise(event: events.Greeted, row: ledger.Row | None, *standing: int) -> greeting.Recognition:
        found = greeting.recognise(event, row, *standing)
        if found not in forgiven:
            return found
        return greeting.Recognition.KNOWN if row and event.epoch == row.epoch else greeting.Recognition.NEW

    patch.setattr(server_core, "recognise", recognise)


def residual_that_survives_its_epoch(patch: Patch) -> None:
    """A device that begins anew keeps what its older disk gives back."""
    whole = account.Account._begin

    def begin(self: account.Account, joined: records.Joined) -> None:
        covered = self.covered
        whole(self, joined)
        self.covered = covered

    patch.setattr(account.Account, "_begin", begin)


def rollback_under_the_old_name(patch: Patch) -> None:
    """After a rollback the lineage is the same, and two versions have one number."""
    whole = operator.begin_lineage

    def begin(folder: object, lineage: bytes, state: state.RunState, undone: rollback.Undone) -> None:
        whole(folder, state.identity.lineage, state, undone)  # type: ignore[arg-type]

    patch.setattr(operator, "begin_lineage", begin)


def rollback_that_keeps_the_accounts(patch: Patch) -> None:
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


def rollback_after_which_every_device_begins_anew(patch: Patch) -> None:
    """In a lineage that a rollback began, a device that comes back is a stranger each time."""
    _strangers(patch, lambda: True)


def rollback_of_a_backup_after_which_every_device_begins_anew(patch: Patch) -> None:
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


def _strangers(patch: Patch, when: Callable[[], bool]) -> None:
    whole = server_core.CoordinatorCore._greet

    def greet(self: server_core.CoordinatorCore, event: events.Greeted) -> list[object]:
        strange = self.state.identity.parent and when()
        return whole(self, replace(event, epoch=0) if strange else event)  # type: ignore[return-value]

    patch.setattr(server_core.CoordinatorCore, "_greet", greet)


def outcomes_that_expire_by_the_time_of_day(patch: Patch) -> None:
    """What was settled an hour ago is forgotten, for who would ask so late."""
    _expiring(patch, lambda _: time.time())


def outcomes_that_expire_by_any_clock(patch: Patch) -> None:
    """The same, by the clock that never goes back."""
    now = [0.0]
    whole = server_core.CoordinatorCore.handle

    def handle(self: server_core.CoordinatorCore, event: events.Event, at: float) -> list[object]:
        now[0] = at
        return whole(self, event, at)  # type: ignore[return-value]

    patch.setattr(server_core.CoordinatorCore, "handle", handle)
    _expiring(patch, lambda _: now[0])


def _expiring(patch: Patch, clock: Callable[[None], float]) -> None:
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


def _fields(frozen: state.Frozen) -> dict[str, object]:
    return {name: getattr(frozen, name) for name in frozen.__struct_fields__}


MUTANTS: tuple[Mutant, ...] = (
    fire_and_forget, subtract_on_acknowledgement, select_again_on_retry, timeout_taken_for_a_rejection,
    no_memory_of_deltas, memory_of_deltas_in_memory, acknowledged_before_it_is_safe, sent_before_it_is_safe,
    sent_before_it_is_safe_and_known_by_number_alone, residual_without_its_mask, refund_apart_from_its_outcome,
    checkpoint_in_two_parts, checkpoint_without_the_buffer, commit_that_overtakes_an_outcome, end_minus_start,
    included_deltas_stay_pending, broken_end_taken_for_a_torn_one, failed_sync_ignored,
    summary_that_forgets_the_residual, device_set_back_without_a_new_epoch, coordinator_set_back_without_a_word,
    residual_that_survives_its_epoch, rollback_under_the_old_name, rollback_that_keeps_the_accounts,
    rollback_after_which_every_device_begins_anew, rollback_of_a_backup_after_which_every_device_begins_anew,
    outcomes_that_expire_by_the_time_of_day, outcomes_that_expire_by_any_clock,
)  # fmt: skip
