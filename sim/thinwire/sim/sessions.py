"""The coordinator's end of all streams in virtual time: who is there, what it says, and what it is told next.

What thinwire.server.service does with gRPC, without it; see thinwire.sim.coordinator and thinwire.sim.process for the
two that decide behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from thinwire.common import values
from thinwire.common.values import FromCoordinator, FromDevice, RefusalReason
from thinwire.server import effects, events, reception
from thinwire.server.feed import Feed, SnapshotWanted
from thinwire.server.staging import Staging, StagingError
from thinwire.sim.agenda import Agenda
from thinwire.sim.bulletin import Bulletin
from thinwire.sim.call import Call

Then = Callable[[list[effects.Effect]], None]


class Decider(Protocol):
    """Who decides what comes of a word."""

    bulletin: Bulletin

    @property
    def alive(self) -> bool:
        """Whether it still speaks."""

    @property
    def full(self) -> bool:
        """Whether its disk is, so that nothing new is taken in."""

    def submit(self, event: events.Event, then: Then | None = None) -> None:
        """Have the core handle an event; `then` is given its effects when they may be told of."""

    def snapshot(self) -> bool:
        """Have the bulletin's log keep a snapshot; whether it does already."""

    def reach(self, point: str) -> None:
        """A named point, at which a process may die."""


@dataclass(slots=True, eq=False)
class Session:
    """One device's stream."""

    feed: Feed
    call: Call
    pump_at: float = -1.0  # when the feed is looked at again; in the past for never


class Sessions:
    """One session a device; who is refused may come again after `retry_after_s`."""

    def __init__(self, agenda: Agenda, decider: Decider, staging: Staging, retry_after_s: float = 0.0) -> None:
        self._agenda, self._decider, self._staging = agenda, decider, staging
        self._retry_after_s = retry_after_s
        self._by_device: dict[str, Session] = {}
        self._by_call: dict[Call, Session] = {}
        self._told: list[Session] = []  # with a word that waits

    # -- the ends of streams -----------------------------------------------------------------------------------

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
            self._decider.submit(events.Left(session.feed.device))

    # -- hello -------------------------------------------------------------------------------------------------

    def _greet(self, call: Call, hello: values.Hello) -> None:
        if self._decider.full:
            self._refuse(call, RefusalReason.DISK_FULL, "the disk is full")
            return
        self._fence(hello.device)
        greeted = reception.greeted(hello, self._decider.bulletin.welcome.lineage)
        self._decider.submit(greeted, lambda found: self._answer(call, hello, found[0]))

    def _answer(self, call: Call, hello: values.Hello, recognised: effects.Effect) -> None:
        # Again, for a stream that was being greeted at the same time.
        self._fence(hello.device)
        if isinstance(recognised, effects.Refused):
            self._decider.submit(events.Left(hello.device))
            self._refuse(call, recognised.reason, recognised.message)
            return
        assert isinstance(recognised, effects.Recognised)
        if not call.at_coordinator:
            self._decider.submit(events.Left(hello.device))
            return
        session = Session(Feed(hello.device, recognised.epoch), call)
        session.feed.tell(self._welcome(hello, recognised))
        self._by_device[hello.device] = self._by_call[call] = session
        self._pump(session)

    def _welcome(self, hello: values.Hello, recognised: effects.Recognised) -> values.Welcome:
        told = self._decider.bulletin
        plan = told.plans.welcome(hello.device)
        return reception.welcomed(told.welcome, hello, recognised, plan, told.log.version, self._staging)

    def _fence(self, device: str) -> None:
        older = self._by_device.get(device)
        if older is not None:
            self._forget(older)
            self._refuse(older.call, RefusalReason.FENCED, "this device has opened a newer stream")

    # -- hearing -----------------------------------------------------------------------------------------------

    def _hear(self, session: Session, word: FromDevice) -> None:
        match word:
            case values.DeltaChunk():
                self._take_chunk(session, word)
            case values.Subscribe():
                session.feed.subscribe(word)
                self._decider.submit(reception.subscribed(session.feed.device, word))
            case values.Echo():
                session.feed.tell(word)
            case values.Report():
                self._take_report(session.feed.device, word)
            case values.Hello():
                pass
        self._pump(session)

    def _take_report(self, device: str, report: values.Report) -> None:
        sent, received = report.wire_sent_bytes, report.wire_received_bytes
        plan = self._decider.bulletin.plans.report(device, report, sent, received, self._agenda.now)
        if plan is not None:
            self.tell(device, plan)

    def _take_chunk(self, session: Session, chunk: values.DeltaChunk) -> None:
        feed = session.feed
        try:
            whole = self._staging.take(feed.device, chunk)
        except StagingError as error:
            self._end(session, error.reason, str(error))
            return
        if whole is None:
            return
        if self._decider.full:
            self._end(session, RefusalReason.DISK_FULL, "the disk is full")
            return
        sealed = reception.sealed(feed.device, feed.epoch, whole)
        self._decider.submit(sealed, lambda found: self._end_if_refused(session, found))

    def _end_if_refused(self, session: Session, found: list[effects.Effect]) -> None:
        for effect in found:
            if isinstance(effect, effects.Refused) and self._by_call.get(session.call) is session:
                self._end(session, RefusalReason.BAD_REQUEST, effect.message)

    def _end(self, session: Session, reason: RefusalReason, message: str) -> None:
        self._refuse(session.call, reason, message)
        self._forget(session)
        self._decider.submit(events.Left(session.feed.device))

    def _forget(self, session: Session) -> None:
        self._by_device.pop(session.feed.device, None)
        self._by_call.pop(session.call, None)

    def _refuse(self, call: Call, reason: RefusalReason, message: str) -> None:
        self._decider.reach("coordinator.say.Refusal")
        call.say_down(values.Refusal(reason, message, retry_after_s=self._retry_after_s))
        call.refuse()

    # -- speaking ----------------------------------------------------------------------------------------------

    def tell(self, device: str, word: FromCoordinator) -> None:
        """Have this said to a device next, if it is here; `pump` does it."""
        session = self._by_device.get(device)
        if session is not None:
            session.feed.tell(word)
            self._told.append(session)

    def pump(self, *, everyone: bool) -> None:
        """Say what is due to everyone, or to those for whom a word waits: a thousand devices cost a million looks."""
        told, self._told = self._told, []
        concerned = self._by_device.values() if everyone else (s for s in told if self._by_call.get(s.call) is s)
        for session in list(concerned):
            self._pump(session)

    def _pump(self, session: Session) -> None:
        """Send while the lane is free, so that a word never waits behind more than one chunk."""
        decider, bulletin = self._decider, self._decider.bulletin
        while session.call.at_coordinator and decider.alive:
            free_at = session.call.free_down_at()
            if free_at > self._agenda.now:
                self._pump_at(session, free_at)
                return
            due = session.feed.next(bulletin.log, open=bulletin.open, final=bulletin.final)
            if isinstance(due, SnapshotWanted):
                if decider.snapshot():
                    continue
                return
            if due is None:
                return
            decider.reach(f"coordinator.say.{type(due.word).__name__}")
            session.call.say_down(due.word)

    def _pump_at(self, session: Session, time: float) -> None:
        if session.pump_at < time:
            session.pump_at = time
            self._agenda.at(time, lambda: self._pump(session))
