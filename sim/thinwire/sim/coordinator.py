"""The coordinator's cores in virtual time: what the gRPC service and its asyncio shell do, without either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from thinwire.common import values
from thinwire.common.values import FromCoordinator, FromDevice, RefusalReason
from thinwire.server import core, effects, events, reception
from thinwire.server.commits import CommitLog, PackedSnapshot
from thinwire.server.feed import Feed, SnapshotWanted
from thinwire.server.plans import Plans
from thinwire.server.recorder import Recorder
from thinwire.server.staging import Staging, StagingError
from thinwire.sim.agenda import Agenda, Alarm
from thinwire.sim.call import Call
from thinwire.sim.scenario import Evaluation

Decided = Callable[[events.Event, list[effects.Effect]], None]


@dataclass(slots=True, eq=False)
class Session:
    """One device's stream."""

    feed: Feed
    call: Call
    pump_at: float = -1.0  # when the feed is looked at again; in the past for never


class Coordinator:
    """Sessions around one CoordinatorCore; `decided` hears of each event and its effects."""

    def __init__(
        self,
        agenda: Agenda,
        decisions: core.CoordinatorCore,
        welcome: values.Welcome,
        staging: Staging,
        decided: Decided,
        evaluation: Evaluation | None,
        plans: Plans,
    ) -> None:
        self.core, self.welcome, self.staging = decisions, welcome, staging
        self.plans = plans
        self._recorder = Recorder(decisions, None)
        model = decisions.model
        self.log = CommitLog(4 * (model.layout.size + model.buffer_layout.size))
        self.sessions: dict[str, Session] = {}
        self._by_call: dict[Call, Session] = {}
        self._told: list[Session] = []  # sessions with a word that waits
        self.final: effects.Finished | None = None
        self._open = False
        self._agenda, self._decided, self._evaluation = agenda, decided, evaluation
        self._alarm = Alarm(agenda, lambda: decisions.deadline, lambda: self._pass_on(events.Tick()))
        self._pass_on(events.Started(1))

    # -- the ends of calls -------------------------------------------------------------------------------------

    def heard(self, call: Call, word: FromDevice) -> None:
        """A device's word came in."""
        if isinstance(word, values.Hello):
            self._greet(call, word)
        elif (session := self._by_call.get(call)) is not None:
            self._hear(session, word)

    def closed(self, call: Call) -> None:
        """A stream is gone; one that was fenced has left no session here."""
        session = self._by_call.get(call)
        if session is not None:
            self._forget(session)
            self._submit(events.Left(session.feed.device))

    # -- hearing -----------------------------------------------------------------------------------------------

    def _greet(self, call: Call, hello: values.Hello) -> None:
        older = self.sessions.get(hello.device)
        if older is not None:
            self._forget(older)
            self._refuse(older.call, RefusalReason.FENCED, "this device has opened a newer stream")
        recognised = self._submit(reception.greeted(hello, self.welcome.lineage))[0]
        if isinstance(recognised, effects.Refused):
            self._submit(events.Left(hello.device))
            self._refuse(call, recognised.reason, recognised.message)
            return
        assert isinstance(recognised, effects.Recognised)
        session = Session(Feed(hello.device, recognised.epoch), call)
        plan = self.plans.welcome(hello.device)
        welcome = reception.welcomed(self.welcome, hello, recognised, plan, self.log.version, self.staging)
        session.feed.tell(welcome)
        self.sessions[hello.device] = self._by_call[call] = session
        self._pump(session)

    def _hear(self, session: Session, word: FromDevice) -> None:
        match word:
            case values.DeltaChunk():
                self._take_chunk(session, word)
            case values.Subscribe():
                session.feed.subscribe(word)
                self._submit(reception.subscribed(session.feed.device, word))
            case values.Echo():
                session.feed.tell(word)
            case values.Report():
                self._take_report(session.feed.device, word)
            case values.Hello():
                pass
        self._pump(session)

    def _take_report(self, device: str, report: values.Report) -> None:
        sent, received = report.wire_sent_bytes, report.wire_received_bytes
        self._tell(device, self.plans.report(device, report, sent, received, self._agenda.now))

    def _take_chunk(self, session: Session, chunk: values.DeltaChunk) -> None:
        try:
            whole = self.staging.take(session.feed.device, chunk)
        except StagingError as error:
            self._end(session, error.reason, str(error))
            return
        if whole is None:
            return
        for effect in self._submit(reception.sealed(session.feed.device, session.feed.epoch, whole)):
            if isinstance(effect, effects.Refused):
                self._end(session, RefusalReason.BAD_REQUEST, effect.message)

    def _end(self, session: Session, reason: RefusalReason, message: str) -> None:
        self._refuse(session.call, reason, message)
        self._forget(session)
        self._submit(events.Left(session.feed.device))

    def _forget(self, session: Session) -> None:
        self.sessions.pop(session.feed.device, None)
        self._by_call.pop(session.call, None)

    def _refuse(self, call: Call, reason: RefusalReason, message: str) -> None:
        call.say_down(values.Refusal(reason, message))
        call.refuse()

    # -- deciding ----------------------------------------------------------------------------------------------

    def _pass_on(self, event: events.Event) -> None:
        self._submit(event)

    def _submit(self, event: events.Event) -> list[effects.Effect]:
        decided = self._recorder.handle(event, self._agenda.now).effects
        for effect in decided:
            self._perform(effect)
        self._decided(event, decided)
        self._alarm.set()
        self._pump_all(decided)
        return decided

    def _pump_all(self, decided: list[effects.Effect]) -> None:
        # Only what concerns every device has every session looked at: else a thousand devices cost a million looks.
        if any(isinstance(effect, effects.Opened | effects.Published | effects.Finished) for effect in decided):
            concerned = list(self.sessions.values())
        else:
            concerned = [session for session in self._told if self._by_call.get(session.call) is session]
        self._told.clear()
        for session in concerned:
            self._pump(session)

    def _perform(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Settled():
                word = reception.settled(effect.outcome, self.welcome.plan, self.core.model.version)
                self._tell(effect.device, word)
                if effect.outcome.verdict is values.Verdict.ACCEPTED and not effect.repeated:
                    self._tell(effect.device, self.plans.settle(effect.device, effect.kept, effect.packed_bytes))
            case effects.Recognised() | effects.Rerated():
                self._tell(effect.device, self.plans.rate(effect.device, effect.density))
            case effects.Opened():
                self._open = True
            case effects.Published():
                self.log.append(effect.commit)
            case effects.Evaluate():
                self._evaluate(effect)
            case effects.Finished():
                self.final = effect
            case effects.Refused() | effects.Write():
                pass  # the session that asked answers its own device

    def _tell(self, device: str, word: FromCoordinator | None) -> None:
        if word is not None and device in self.sessions:
            self.sessions[device].feed.tell(word)
            self._told.append(self.sessions[device])

    def _evaluate(self, effect: effects.Evaluate) -> None:
        metrics = self._evaluation(effect.weights_P, effect.buffers_B) if self._evaluation else {}
        self._agenda.soon(lambda: self._pass_on(events.Evaluated(effect.version, metrics)))

    # -- speaking ----------------------------------------------------------------------------------------------

    def _pump(self, session: Session) -> None:
        """Send while the lane is free, so that a word never waits behind more than one chunk."""
        while session.call.at_coordinator:
            free_at = session.call.free_down_at()
            if free_at > self._agenda.now:
                self._pump_at(session, free_at)
                return
            due = session.feed.next(self.log, open=self._open, final=self.final)
            if due is None:
                return
            if isinstance(due, SnapshotWanted):
                model = self.core.model
                through = self.core.ledger.published()
                self.log.keep(PackedSnapshot.of(model.freeze(), model.layout, model.buffer_layout, through))
                continue
            session.call.say_down(due.word)

    def _pump_at(self, session: Session, time: float) -> None:
        if session.pump_at < time:
            session.pump_at = time
            self._agenda.at(time, lambda: self._pump(session))
