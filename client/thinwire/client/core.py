"""Every decision of the agent, without network, clock or await: events and the time go in, effects come out.

    offline --deadline--> dialling --Opened--> greeting --Welcome--> live --Closed--> offline

Beside it runs the trainer: none, starting, ready, based (it holds a model). The two meet in `Subscribe`, which is sent
when the stream is live and the trainer is ready. The trainer never learns of the link, so it never waits for it; what
it seals while the link is down stays in the outbox and is sent after the next Welcome, the same bytes from where the
coordinator holds them. What must survive is `custody`'s: a delta is sent when its seal is safe.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from thinwire.client import telling
from thinwire.client.custody import Custody
from thinwire.client.dialling import Dialling
from thinwire.client.effects import (
    Effect,
    GiveBase,
    HangUp,
    Note,
    Quit,
    Recover,
    Send,
    SendReport,
    Spool,
    StopTrainer,
    Tell,
)
from thinwire.client.events import (
    Closed,
    DiskRefused,
    Event,
    Leave,
    Opened,
    Persisted,
    Received,
    Recovered,
    SpoolRefused,
    Tick,
    TrainerLost,
    TrainerSaid,
)
from thinwire.client.goodput import GoodputMeter
from thinwire.client.intake import CommitIntake, IntakeError, SnapshotIntake
from thinwire.client.outbox import Outbox, SealedDelta
from thinwire.client.overlap import OverlapMeter
from thinwire.client.seat import Seat
from thinwire.client.store import Restored
from thinwire.common import frames
from thinwire.common.backoff import Backoff
from thinwire.common.exits import Exit
from thinwire.common.values import (
    CommitChunk,
    Echo,
    Finish,
    FromCoordinator,
    Outcome,
    Plan,
    Refusal,
    RefusalReason,
    SnapshotChunk,
    Subscribe,
    Verdict,
    Welcome,
)

# A report costs about 150 bytes; while the training runs one every so often keeps status pages alive.
REPORT_EVERY_S = 5.0
# How long a trainer may take to save its residual when the agent is told to end.
LEAVE_WITHIN_S = 4.0
# After the disk has refused a snapshot, filling the link with it again is of no use soon.
SPOOL_RETRY_S = 30.0
LEAVING = Quit(0, "told to stop")


class AgentCore:
    """One device's side of the training; `restored` is what its store knows of its earlier life."""

    def __init__(
        self,
        device: str,
        software: str,
        dice: random.Random,
        backoff: Backoff,
        restored: Restored | None = None,
        *,
        partial: SnapshotIntake | None = None,
        leave_when_finished: bool = False,
        residual_every: int = 30,
    ) -> None:
        self.device, self.software = device, software
        self.custody = Custody(restored or Restored(), residual_every)
        self.meter, self.goodput = OverlapMeter(), GoodputMeter()
        self.rtt_s = 0.0
        self._echo_at: float | None = None
        self.seat = Seat(dice)
        self._dialling = Dialling(dice, backoff)
        self._leave_when_finished = leave_when_finished
        self._report_at: float | None = None
        self._leave_at: float | None = None
        self._welcome: Welcome | None = None
        self._snapshot = partial or SnapshotIntake()
        self._snapshot_coming = False
        self._commit = CommitIntake()
        self._finished: int | None = None

    @property
    def outbox(self) -> Outbox:
        """The deltas that are not in the base yet."""
        return self.custody.outbox

    @property
    def figures(self) -> frames.Figures:
        """How the training goes, over all trainers of this agent."""
        return self.seat.figures

    @property
    def deadline(self) -> float | None:
        """When the core next wants a Tick; None for never."""
        times = (self._dialling.at, self.seat.restart_at, self.custody.flush_at, self._report_at, self._leave_at)
        return min((at for at in times if at is not None), default=None)

    @property
    def live(self) -> bool:
        """Whether the coordinator has welcomed this stream."""
        return self._dialling.state == "live"

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event at loop time `now` (seconds, monotonic) and say what is to be done, in this order."""
        effects = self._react(event, now)
        transferring = self.live and (bool(self.outbox.unsettled()) or self._commit.busy)
        self.meter.note(now, transferring=transferring, computing=not self.figures.waiting)
        return effects

    def _react(self, event: Event, now: float) -> list[Effect]:  # noqa: C901  # one flat table of events
        match event:
            case Opened():
                self._dialling.state = "greeting"
                return [Send(self.custody.hello(self.device, self.software))]
            case Closed():
                return self._go_offline(event.reason, now)
            case Received():
                return self._hear(event.message, now)
            case TrainerSaid():
                return self._listen(event, now)
            case TrainerLost():
                leave: list[Effect] = [LEAVING] if self._leave_at is not None else []
                return self.seat.lose(event.reason, now) + leave
            case Persisted():
                return self._send_kept(now)
            case DiskRefused():
                return self.custody.refused(event, now)
            case SpoolRefused():
                self._snapshot = event.partial
                reason = f"DEVICE_STORAGE: a snapshot cannot be written: {event.reason}"
                return [HangUp(reason), *self._go_offline(reason, now, SPOOL_RETRY_S)]
            case Recovered():
                return self.custody.recovered(event)
            case Leave():
                return self._leave(now)
            case Tick():
                return self._tick(now)

    def _tick(self, now: float) -> list[Effect]:
        effects = self._dialling.tick(now) + self.custody.tick(now)
        if self.seat.restart_at is not None and now >= self.seat.restart_at:
            effects += self._start_trainer()
        if self._report_at is not None and now >= self._report_at:
            self._report_at = None
            effects += self._report(now)
        if self._leave_at is not None and now >= self._leave_at:
            effects.append(LEAVING)
        return effects

    def _leave(self, now: float) -> list[Effect]:
        if self.seat.ready is None or self.figures.steps == 0:
            return [LEAVING]
        self._leave_at = now + LEAVE_WITHIN_S
        return self.custody.save_now(now)

    # -- the link ----------------------------------------------------------------------------------------------

    def _go_offline(self, reason: str, now: float, at_least_s: float = 0.0) -> list[Effect]:
        if self._dialling.state == "offline":
            return []
        self._report_at = None
        self._echo_at = None
        self.goodput.lost()
        self._commit, self._snapshot_coming = CommitIntake(), False
        return self._dialling.lose(reason, now, at_least_s)

    def _hear(self, message: FromCoordinator, now: float) -> list[Effect]:  # one flat table of words
        match message:
            case Welcome():
                return self._welcomed(message, now)
            case _ if not self.live and not isinstance(message, Refusal):
                return [HangUp("the coordinator spoke before its Welcome")]
            case SnapshotChunk():
                return self._guarded(lambda: self._take_snapshot(message))
            case CommitChunk():
                return self._guarded(lambda: self._take_commit(message, now))
            case Outcome():
                self._dialling.of_use()
                return self._settle(message, now)
            case Plan():
                return self._take_plan(message)
            case Finish():
                return self._take_finish(message)
            case Refusal():
                return self._refused(message, now)
            case Echo():
                return self._measure(now)

    def _guarded(self, take: Callable[[], list[Effect]]) -> list[Effect]:
        try:
            return take()
        except IntakeError as error:
            return [HangUp(str(error))]

    def _welcomed(self, welcome: Welcome, now: float) -> list[Effect]:
        if self.custody.outranks(welcome):
            reason = (
                f"this coordinator is of start {welcome.leader_epoch}, and one of start {self.custody.leader_epoch} "
                "has spoken since; two coordinators are running, or this one came back from an old state"
            )
            return [HangUp(reason), *self._go_offline(reason, now, SPOOL_RETRY_S)]
        self._dialling.welcomed()
        self._echo_at = now
        effects: list[Effect] = [
            Note("info", f"welcome at version {welcome.version}, epoch {welcome.epoch}"),
            Send(Echo(b"rtt")),
        ]
        if self.custody.knows(welcome):
            return effects + self.custody.follow(welcome) + self._go_on(welcome, now)
        return effects + self._begin(welcome)

    def _begin(self, welcome: Welcome) -> list[Effect]:
        another, before = self.custody.lineage != b"", self.custody.abandoned
        effects = self.custody.begin(welcome)
        self._welcome = welcome
        self._snapshot.forget()
        self._finished = None
        if another:
            abandoned = self.custody.abandoned - before
            effects = [
                Note("warning", f"another training has begun; {abandoned} deltas are void"),
                StopTrainer(),
                *effects,
            ]
        return effects + self._start_trainer()

    def _go_on(self, welcome: Welcome, now: float) -> list[Effect]:
        effects = self._take_plan(welcome.plan)
        for outcome in welcome.outcomes:
            effects += self._settle(outcome, now)
        if self._welcome is None:
            # The first stream of this agent, in the training of the one before it.
            self._welcome = welcome
            effects += self._start_trainer()
        elif self.seat.ready is not None:
            effects += self._subscribe()
        staged = {part.seq: part.received_bytes for part in welcome.staged}
        for delta in self.outbox.unsettled():
            effects += self._send(delta, staged.get(delta.seq, 0), now)
        return effects

    def _take_plan(self, plan: Plan) -> list[Effect]:
        if self._welcome is None or plan == self._welcome.plan:
            return []
        # A trainer that is started later gets it from here.
        self._welcome = replace(self._welcome, plan=plan)
        return [Tell(frames.Replan(plan=telling.plan_fields(plan)))]

    def _take_finish(self, finish: Finish) -> list[Effect]:
        self._finished = finish.version
        note = Note("info", f"training is over: {finish.reason}")
        return [note, *(self._say_farewell() or self._conclude())]

    def _refused(self, refusal: Refusal, now: float) -> list[Effect]:
        if refusal.fatal:
            return [Quit(Exit.REFUSED, refusal.message)]
        at_least_s = refusal.retry_after_s
        if refusal.reason is RefusalReason.FENCED:
            at_least_s = max(at_least_s, 30.0)
        return [HangUp(refusal.message), *self._go_offline(refusal.message, now, at_least_s)]

    # -- the model ---------------------------------------------------------------------------------------------

    def _subscribe(self) -> list[Effect]:
        ready, base = self.seat.ready, self.seat.base
        assert ready is not None
        partial = (self._snapshot.version, self._snapshot.received_bytes)
        return [Send(Subscribe(base is not None, base or 0, *partial, ready.examples))]

    def _take_snapshot(self, chunk: SnapshotChunk) -> list[Effect]:
        part = self._snapshot.take(chunk)
        self._snapshot_coming = not part.complete
        if not part.complete:
            return [Spool(part)]
        self._snapshot.forget()
        if self.seat.ready is None:
            return [Spool(part)]
        self.seat.base = part.version
        included = self.custody.include(part.included_through, part.version)
        return [Spool(part), *included, GiveBase(part.version, part.included_through), *self._conclude()]

    def _take_commit(self, chunk: CommitChunk, now: float) -> list[Effect]:
        whole = self._commit.take(chunk)
        base = self.seat.base
        if whole is None or base is None:
            return []
        if whole.version != base + 1:
            return [HangUp(f"commit {whole.version} came on top of version {base}")]
        self._dialling.of_use()
        self.seat.base = whole.version
        through = whole.header.included_through
        included = self.custody.include(through, whole.version)
        frame = frames.CommitFrame(
            version=whole.version, buffer_bytes=whole.header.buffer_bytes, through=through
        )
        return [*included, Tell(frame, whole.payload), *self._report_soon(now)]

    def _conclude(self) -> list[Effect]:
        if self._finished is None or self.seat.base is None:
            return []
        return [Tell(frames.Conclude(version=self._finished))]

    def _measure(self, now: float) -> list[Effect]:
        if self._echo_at is not None:
            self.rtt_s = now - self._echo_at
            self.goodput.echoed(self.rtt_s)
        return []

    # -- deltas ------------------------------------------------------------------------------------------------

    def _send(self, delta: SealedDelta, received_bytes: int, now: float) -> list[Effect]:
        self.goodput.sent(delta.seq, len(delta.payload) - received_bytes, now)
        return [Send(chunk) for chunk in delta.chunks(received_bytes)]

    def _send_kept(self, now: float) -> list[Effect]:
        kept, effects = self.custody.persisted()
        for delta in kept if self.live else []:
            effects += self._send(delta, 0, now)
        return effects

    def _settle(self, outcome: Outcome, now: float) -> list[Effect]:
        accepted = outcome.verdict is Verdict.ACCEPTED
        self.goodput.settled(outcome.seq, now)
        effects = self.custody.settle(outcome)
        if accepted:
            return effects + self._pass_on(outcome)
        if not effects:
            return []
        effects.append(Note("warning", f"delta {outcome.seq} rejected ({outcome.reason.name}): {outcome.message}"))
        if self.seat.ready is not None:
            # A trainer that is not there yet will be told what its predecessor was owed.
            effects.append(Tell(frames.Rejection(seq=outcome.seq, refund=outcome.refund)))
        return effects

    def _pass_on(self, outcome: Outcome) -> list[Effect]:
        # Only a trainer that waits for outcomes has a use for them.
        waits = self._welcome is not None and self._welcome.plan.waits_for == "outcome"
        return [Tell(frames.Accepted(seq=outcome.seq, version=outcome.version))] if waits else []

    # -- the trainer -------------------------------------------------------------------------------------------

    def _start_trainer(self) -> list[Effect]:
        assert self._welcome is not None
        return self.seat.start(self._welcome, self.outbox.next_seq)

    def _listen(self, event: TrainerSaid, now: float) -> list[Effect]:
        if self.seat.ready is None and not isinstance(event.frame, frames.Ready | frames.Failed):
            # Said by a trainer that was stopped since: its deltas carry the numbers of another lineage.
            return []
        match event.frame:
            case frames.Ready():
                return self._trainer_ready(event.frame, now)
            case frames.SealedFrame():
                return [
                    *self.custody.seal(event.frame, event.body),
                    *self.custody.save_after_cut(now),
                    *self._report_soon(now),
                ]
            case frames.ResidualSaved():
                leave: list[Effect] = [LEAVING] if self._leave_at is not None else []
                return self.custody.adopt(event.frame) + leave
            case frames.Applied():
                self.seat.works()
                return []
            case frames.Desync():
                self.seat.base = None
                effects: list[Effect] = [Note("warning", f"trainer needs a snapshot: {event.frame.reason}")]
                return effects + (self._subscribe() if self.live else [])
            case frames.Figures():
                self.seat.count(event.frame)
                return self.custody.save_by_time(self.figures.steps, now) + self._say_farewell()
            case frames.Failed():
                return [Quit(Exit.TRAINING, event.frame.message)]

    def _trainer_ready(self, ready: frames.Ready, now: float) -> list[Effect]:
        assert self._welcome is not None
        if ready.layout_hash != self._welcome.layout_hash.hex():
            return [Quit(Exit.TRAINING, telling.other_model(self._welcome, ready))]
        self.seat.ready = ready
        self.custody.schedule.begin(ready, now)
        # From here on the trainer carries what the outbox holds, and hears of every change.
        effects: list[Effect] = [Recover(), *(telling.tell_pending(delta) for delta in self.outbox.pending())]
        # A snapshot that began to come for an earlier trainer is right for this one.
        return effects + (self._subscribe() if self.live and not self._snapshot_coming else [])

    # -- reports -----------------------------------------------------------------------------------------------

    def _report_soon(self, now: float) -> list[Effect]:
        # Only what happens makes a report due: an idle stream carries nothing but keep-alive.
        if self._report_at is None and self.live:
            self._report_at = now + REPORT_EVERY_S
        return []

    def _report(self, now: float) -> list[Effect]:
        if not self.live:
            return []
        self._echo_at = now
        return [SendReport(), Send(Echo(b"rtt"))]

    def _say_farewell(self) -> list[Effect]:
        # Offline, it waits for the next stream, where Finish comes again.
        checked = self.figures.checksum is not None and self.figures.version == self._finished
        if not (checked and self.live):
            return []
        leave: list[Effect] = [Quit(0, "training is over")] if self._leave_when_finished else []
        return [SendReport(final=True), *leave]
