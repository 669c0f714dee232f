"""A coordinator with a disk, in virtual time: one process after another on the same folder.

What the gRPC service and its asyncio shell do, with the same recorder and journal: effects wait until what was written
before them is synced, many share one sync, a checkpoint is written beside it, a full disk holds up whatever is new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from thinwire.common import values
from thinwire.common.errors import DiskError
from thinwire.common.values import FromDevice, RefusalReason
from thinwire.server import core, effects, events, reception
from thinwire.server.commits import CommitLog, PackedSnapshot
from thinwire.server.feed import Feed, SnapshotWanted
from thinwire.server.model import Commit
from thinwire.server.recorder import Checkpoint, Decided, Recorder
from thinwire.server.staging import Staging, StagingError
from thinwire.sim.agenda import Agenda, Alarm
from thinwire.sim.call import Call
from thinwire.sim.clock import Clock

Reach = Callable[[str], None]
# How often a full disk is looked at again.
ROOM_EVERY_S = 1.0


@dataclass(slots=True, eq=False)
class Session:
    """One device's stream."""

    feed: Feed
    call: Call


@dataclass(slots=True)
class _Waiting:
    effects: list[effects.Effect]
    after: int
    then: Callable[[], None] | None


class Process:
    """One life of a coordinator; `noted` hears of each event and its effects, `performed` of each that is told."""

    def __init__(
        self,
        agenda: Agenda,
        recorder: Recorder,
        welcome: values.Welcome,
        staging: Staging,
        reach: Reach,
        sync_s: Callable[[], float],
        noted: Callable[[events.Event, list[effects.Effect]], None],
        performed: Callable[[effects.Effect], None],
        failed: Callable[[DiskError], None],
        commits: Iterable[Commit] = (),
        clock: Clock | None = None,
    ) -> None:
        self.core: core.CoordinatorCore = recorder.core
        self.recorder, self.staging = recorder, staging
        self.alive = True
        self.sessions: dict[str, Session] = {}
        state, model = self.core.state, self.core.model
        self.log = CommitLog(4 * (model.layout.size + model.buffer_layout.size), model.version)
        for commit in commits:
            self.log.append(commit)
        kept = recorder.journal.kept() if recorder.journal else None
        if kept is not None and self.log.reaches(kept.version):
            self.log.keep(kept)
        self.open = state.phase != "starting"
        self.final = effects.Finished(model.version, state.reason) if state.phase == "finished" else None
        self._agenda, self._reach, self._sync_s = agenda, reach, sync_s
        self._clock = clock or Clock(agenda)
        self._noted, self._performed, self._failed = noted, performed, failed
        self._unsafe: deque[_Waiting] = deque()
        self._syncing = self._retrying = self._snapshotting = False
        self._alarm = Alarm(agenda, self._deadline, self._tick)
        leader_epoch = state.leader_epoch + 1
        self.welcome = replace(welcome, leader_epoch=leader_epoch)
        self.submit(events.Started(leader_epoch))

    def _deadline(self) -> float | None:
        return self._clock.on_agenda(self.core.deadline) if self.alive else None

    def clock_leapt(self) -> None:
        """Look at the deadline again."""
        self._alarm.set()

    def _tick(self) -> None:
        self.submit(events.Tick())

    # -- the ends of streams -----------------------------------------------------------------------------------

    def heard(self, call: Call, word: FromDevice) -> None:
        """A device's word came in."""
        session = next((s for s in self.sessions.values() if s.call is call), None)
        if isinstance(word, values.Hello):
            self._greet(call, word)
        elif session is not None:
            self._hear(session, word)

    def closed(self, call: Call) -> None:
        """A stream is gone; one that was fenced has left no session here."""
        for device, session in list(self.sessions.items()):
            if session.call is call:
                del self.sessions[device]
                self.submit(events.Left(device))

    # -- hearing -----------------------------------------------------------------------------------------------

    def _greet(self, call: Call, hello: values.Hello) -> None:
        if self.recorder.full:
            self._refuse(call, RefusalReason.DISK_FULL, "the disk is full")
            return
        self._fence(hello.device)
        found: list[effects.Effect] = []

        def then() -> None:
            self._answer(call, hello, found[0])

        found += self.submit(reception.greeted(hello, self.welcome.lineage), then)

    def _answer(self, call: Call, hello: values.Hello, recognised: effects.Effect) -> None:
        self._fence(hello.device)
        if isinstance(recognised, effects.Refused):
            self.submit(events.Left(hello.device))
            self._refuse(call, recognised.reason, recognised.message)
            return
        assert isinstance(recognised, effects.Recognised)
        if not call.at_coordinator:
            self.submit(events.Left(hello.device))
            return
        session = Session(Feed(hello.device, recognised.epoch), call)
        session.feed.tell(
            reception.welcomed(self.welcome, hello, recognised, self.welcome.plan, self.log.version, self.staging)
        )
        self.sessions[hello.device] = session
        self._pump(session)

    def _fence(self, device: str) -> None:
        older = self.sessions.pop(device, None)
        if older is not None:
            self._refuse(older.call, RefusalReason.FENCED, "this device has opened a newer stream")

    def _hear(self, session: Session, word: FromDevice) -> None:
        match word:
            case values.DeltaChunk():
                self._take_chunk(session, word)
            case values.Subscribe():
                session.feed.subscribe(word)
                self.submit(reception.subscribed(session.feed.device, word))
            case values.Echo():
                session.feed.tell(word)
            case values.Report() | values.Hello():
                pass
        self._pump(session)

    def _take_chunk(self, session: Session, chunk: values.DeltaChunk) -> None:
        try:
            whole = self.staging.take(session.feed.device, chunk)
        except StagingError as error:
            self._end(session, error.reason, str(error))
            return
        if whole is None:
            return
        if self.recorder.full:
            self._end(session, RefusalReason.DISK_FULL, "the disk is full")
            return
        found: list[effects.Effect] = []

        def then() -> None:
            for effect in found:
                if isinstance(effect, effects.Refused) and self.sessions.get(session.feed.device) is session:
                    self._end(session, RefusalReason.BAD_REQUEST, effect.message)

        found += self.submit(reception.sealed(session.feed.device, session.feed.epoch, whole), then)

    def _end(self, session: Session, reason: RefusalReason, message: str) -> None:
        self._refuse(session.call, reason, message)
        self.sessions.pop(session.feed.device, None)
        self.submit(events.Left(session.feed.device))

    def _refuse(self, call: Call, reason: RefusalReason, message: str) -> None:
        self._reach("coordinator.say.Refusal")
        call.say_down(values.Refusal(reason, message, retry_after_s=1.0))
        call.refuse()

    # -- deciding ----------------------------------------------------------------------------------------------

    def submit(self, event: events.Event, then: Callable[[], None] | None = None) -> list[effects.Effect]:
        """Have the core handle an event; what it decides is carried out, and `then` called, when it is safe."""
        if not self.alive:
            return []
        self._reach(f"coordinator.handle.{type(event).__name__}")
        try:
            decided = self.recorder.handle(event, self._clock.now(self.core.deadline))
        except DiskError as error:
            self._failed(error)
            return []
        self._noted(event, decided.effects)
        self._await_safety(decided, then)
        self._alarm.set()
        return decided.effects

    def _await_safety(self, decided: Decided, then: Callable[[], None] | None) -> None:
        self._unsafe.append(_Waiting(decided.effects, decided.after, then))
        if self.recorder.journal is None:
            self._carry_out(decided.after)
        elif self.recorder.full:
            self._retry_later()
        elif not self._syncing:
            self._syncing = True
            self._agenda.at(self._agenda.now + self._sync_s(), self._sync)

    def _sync(self) -> None:
        self._syncing = False
        if not self.alive:
            return
        try:
            upto = self.recorder.sync()
        except DiskError as error:
            self._failed(error)
            return
        self._carry_out(upto)
        due = self.recorder.take_checkpoint()
        if due is not None:
            self._agenda.at(self._agenda.now + self._sync_s(), lambda: self._checkpoint(due))
        if self._unsafe and not self._syncing:
            self._await_safety(Decided([], self.recorder.last), None)

    def _checkpoint(self, due: Checkpoint) -> None:
        if not self.alive or self.recorder.journal is None:
            return
        # Without one a restart takes longer, no more.
        with suppress(DiskError):
            self.recorder.journal.checkpoint(due.number, due.frozen, due.vectors)

    def _retry_later(self) -> None:
        if not self._retrying:
            self._retrying = True
            self._agenda.at(self._agenda.now + ROOM_EVERY_S, self._retry)

    def _retry(self) -> None:
        self._retrying = False
        if not self.alive:
            return
        try:
            written = self.recorder.retry()
        except DiskError as error:
            self._failed(error)
            return
        if written:
            self._await_safety(Decided([], self.recorder.last), None)
        else:
            self._retry_later()

    def _carry_out(self, upto: int) -> None:
        while self._unsafe and self._unsafe[0].after <= upto:
            waiting = self._unsafe.popleft()
            for effect in waiting.effects:
                self._reach(f"coordinator.tell.{type(effect).__name__}")
                self._perform(effect)
                self._performed(effect)
            if waiting.then is not None:
                waiting.then()
        for session in list(self.sessions.values()):
            self._pump(session)

    def _perform(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Settled():
                if effect.device in self.sessions:
                    self.sessions[effect.device].feed.tell(effect.outcome)
            case effects.Opened():
                self.open = True
            case effects.Published():
                self.log.append(effect.commit)
            case effects.Finished():
                self.final = effect
            case effects.Evaluate():
                self._agenda.soon(lambda: self._evaluated(effect.version))
            case effects.Recognised() | effects.Refused() | effects.Write():
                pass

    def _evaluated(self, version: int) -> None:
        self.submit(events.Evaluated(version, {}))

    # -- speaking ----------------------------------------------------------------------------------------------

    def _pump(self, session: Session) -> None:
        while session.call.at_coordinator and self.alive:
            due = session.feed.next(self.log, open=self.open, final=self.final)
            if due is None:
                return
            if isinstance(due, SnapshotWanted):
                self._make_snapshot()
                return
            self._reach(f"coordinator.say.{type(due.word).__name__}")
            session.call.say_down(due.word)

    def _make_snapshot(self) -> None:
        if self._snapshotting:
            return
        self._snapshotting = True
        model = self.core.model
        made = PackedSnapshot.of(model.freeze(), model.layout, model.buffer_layout, self.core.ledger.published())

        def keep() -> None:
            self._snapshotting = False
            if self.recorder.journal is not None:
                with suppress(DiskError):
                    self.recorder.journal.keep(made)
            self.log.keep(made)

        # Nobody may hear of a version that a power cut could still undo.
        self._await_safety(Decided([], self.recorder.last), keep)
