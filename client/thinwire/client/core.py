"""Every decision of the agent, without network, clock or await: events and the time go in, effects come out.

    offline --deadline--> dialling --Opened--> greeting --Welcome--> live --Closed--> offline

Beside it runs the trainer: none, starting, ready, based (it holds a model). The two meet in `Subscribe`, which is sent
when the stream is live and the trainer is ready. The trainer never learns of the link, so it never waits for it; what
it seals while the link is down stays in the outbox and is sent after the next Welcome, the same bytes from where the
coordinator holds them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import msgspec

from thinwire.client.effects import (
    Dial,
    Effect,
    GiveBase,
    HangUp,
    Note,
    Quit,
    Send,
    SendReport,
    Spool,
    StartTrainer,
    StopTrainer,
    Tell,
)
from thinwire.client.events import Closed, Event, Opened, Received, Tick, TrainerLost, TrainerSaid
from thinwire.client.goodput import GoodputMeter
from thinwire.client.intake import CommitIntake, IntakeError, SnapshotIntake
from thinwire.client.outbox import Outbox, SealedDelta
from thinwire.client.overlap import OverlapMeter
from thinwire.common import frames
from thinwire.common.backoff import Backoff
from thinwire.common.exits import Exit
from thinwire.common.values import (
    CommitChunk,
    Echo,
    Finish,
    FromCoordinator,
    Hello,
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


class AgentCore:
    """One device's side of the training."""

    def __init__(
        self,
        device: str,
        software: str,
        dice: random.Random,
        backoff: Backoff,
        *,
        leave_when_finished: bool = False,
    ) -> None:
        self.device, self.software = device, software
        self.outbox = Outbox()
        self.meter = OverlapMeter()
        self.figures = frames.Figures(
            version=0, steps=0, cuts=0, compute_s=0, wait_s=0, residual_norm=0, delay_steps=0, waiting=True
        )
        self._earlier = self.figures  # of the trainers before this one
        self.abandoned = 0
        self.trainer_restarts = 0
        self.goodput = GoodputMeter()
        self.rtt_s = 0.0
        self._dice, self._backoff, self._trainer_backoff = dice, backoff, Backoff(1.0, 60.0)
        self._leave_when_finished = leave_when_finished
        self._link = "offline"
        self._dial_at: float | None = 0.0
        self._restart_at: float | None = None
        self._report_at: float | None = None
        self._welcome: Welcome | None = None
        self._ready: frames.Ready | None = None
        self._base: int | None = None
        self._snapshot = SnapshotIntake()
        self._snapshot_coming = False
        self._commit = CommitIntake()
        self._echo_at: float | None = None
        self._finished: int | None = None
        self._offline_for = ""

    @property
    def deadline(self) -> float | None:
        """When the core next wants a Tick; None for never."""
        return min((at for at in (self._dial_at, self._restart_at, self._report_at) if at is not None), default=None)

    @property
    def live(self) -> bool:
        """Whether the coordinator has welcomed this stream."""
        return self._link == "live"

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event at loop time `now` (seconds, monotonic) and say what is to be done."""
        effects = self._react(event, now)
        transferring = self.live and (bool(self.outbox.unsettled()) or self._commit.busy)
        self.meter.note(now, transferring=transferring, computing=not self.figures.waiting)
        return effects

    def _react(self, event: Event, now: float) -> list[Effect]:
        match event:
            case Opened():
                return self._greet()
            case Closed():
                return self._go_offline(event.reason, now)
            case Received():
                return self._hear(event.message, now)
            case TrainerSaid():
                return self._listen(event, now)
            case TrainerLost():
                return self._lose_trainer(event.reason, now)
            case Tick():
                return self._tick(now)

    def _tick(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        if self._dial_at is not None and now >= self._dial_at:
            self._dial_at, self._link = None, "dialling"
            effects.append(Dial())
        if self._restart_at is not None and now >= self._restart_at:
            self._restart_at = None
            effects += self._start_trainer()
        if self._report_at is not None and now >= self._report_at:
            self._report_at = None
            effects += self._report(now)
        return effects

    # -- the link ----------------------------------------------------------------------------------------------

    def _greet(self) -> list[Effect]:
        self._link = "greeting"
        lineage = self._welcome.lineage if self._welcome else b""
        epoch = self._welcome.epoch if self._welcome else 0
        hello = Hello(
            self.device,
            lineage=lineage,
            epoch=epoch,
            unsettled=self.outbox.identities(),
            software=self.software,
            sealed_through=self.outbox.next_seq - 1,
        )
        return [Send(hello)]

    def _go_offline(self, reason: str, now: float, at_least_s: float = 0.0) -> list[Effect]:
        if self._link == "offline":
            return []
        self._link, self._report_at, self._echo_at = "offline", None, None
        self._commit, self._snapshot_coming = CommitIntake(), False
        self.goodput.lost()
        wait_s = max(self._backoff.next(self._dice), at_least_s)
        self._dial_at = now + wait_s
        # A week offline is one line of the log; what an operator needs is the change.
        level = "debug" if reason == self._offline_for else "warning"
        self._offline_for = reason
        return [Note(level, f"offline, next attempt in {wait_s:.1f} s: {reason}")]

    def _hear(self, message: FromCoordinator, now: float) -> list[Effect]:  # one flat table of words
        match message:
            case Welcome():
                return self._welcomed(message, now)
            case _ if self._link != "live" and not isinstance(message, Refusal):
                return [HangUp("the coordinator spoke before its Welcome")]
            case SnapshotChunk():
                return self._guarded(lambda: self._take_snapshot(message))
            case CommitChunk():
                return self._guarded(lambda: self._take_commit(message, now))
            case Outcome():
                self._backoff.reset()
                return self._settle(message, now)
            case Plan():
                return self._take_plan(message)
            case Finish():
                self._finished = message.version
                return [
                    Note("info", f"training is over: {message.reason}"),
                    *(self._say_farewell() or self._conclude()),
                ]
            case Refusal():
                return self._refused(message, now)
            case Echo():
                self.rtt_s = now - self._echo_at if self._echo_at is not None else self.rtt_s
                return []

    def _take_plan(self, plan: Plan) -> list[Effect]:
        assert self._welcome is not None
        if plan == self._welcome.plan:
            return []
        # A trainer that is started later gets it from here.
        self._welcome = replace(self._welcome, plan=plan)
        return [Tell(frames.Replan(plan=plan_fields(plan)))]

    def _guarded(self, take: Callable[[], list[Effect]]) -> list[Effect]:
        try:
            return take()
        except IntakeError as error:
            return [HangUp(str(error))]

    def _welcomed(self, welcome: Welcome, now: float) -> list[Effect]:
        before = self._welcome
        self._link, self._offline_for = "live", ""
        self._echo_at = now
        effects: list[Effect] = [
            Note("info", f"welcome at version {welcome.version}, epoch {welcome.epoch}"),
            Send(Echo(b"rtt")),
        ]
        if before is not None and (before.lineage, before.epoch) == (welcome.lineage, welcome.epoch):
            return effects + self._take_plan(welcome.plan) + self._resume(welcome, now)
        self._welcome = welcome
        return effects + self._begin(restart=before is not None)

    def _begin(self, *, restart: bool) -> list[Effect]:
        abandoned = self.outbox.void()
        self.abandoned += abandoned
        self._snapshot.forget()
        self._finished = self._restart_at = None
        effects: list[Effect] = []
        if restart:
            effects.append(Note("warning", f"another training has begun; {abandoned} deltas are void"))
            effects.append(StopTrainer())
        return effects + self._start_trainer()

    def _resume(self, welcome: Welcome, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for outcome in welcome.outcomes:
            effects += self._settle(outcome, now)
        if self._ready is not None:
            effects += self._subscribe()
        staged = {part.seq: part.received_bytes for part in welcome.staged}
        for delta in self.outbox.unsettled():
            effects += self._send(delta, staged.get(delta.seq, 0), now)
        return effects

    def _refused(self, refusal: Refusal, now: float) -> list[Effect]:
        if refusal.fatal:
            return [Quit(Exit.REFUSED, refusal.message)]
        at_least_s = refusal.retry_after_s
        if refusal.reason is RefusalReason.FENCED:
            at_least_s = max(at_least_s, 30.0)
        return [HangUp(refusal.message), *self._go_offline(refusal.message, now, at_least_s)]

    # -- the model ---------------------------------------------------------------------------------------------

    def _subscribe(self) -> list[Effect]:
        assert self._ready is not None
        partial = (self._snapshot.version, self._snapshot.received_bytes)
        return [Send(Subscribe(self._base is not None, self._base or 0, *partial, self._ready.examples))]

    def _take_snapshot(self, chunk: SnapshotChunk) -> list[Effect]:
        part = self._snapshot.take(chunk)
        self._snapshot_coming = not part.complete
        if not part.complete:
            return [Spool(part)]
        self._snapshot.forget()
        if self._ready is None:
            return []
        self._base = part.version
        self.outbox.include(part.included_through)
        pending = [tell_pending(delta) for delta in self.outbox.pending()]
        return [
            Spool(part),
            GiveBase(part.version, part.included_through),
            *pending,
            *self._refund(),
            *self._conclude(),
        ]

    def _refund(self) -> list[Effect]:
        effects: list[Effect] = []
        for delta in self.outbox.pay():
            effects += [tell_pending(delta), Tell(frames.Rejection(seq=delta.seq, refund=True))]
        return effects

    def _take_commit(self, chunk: CommitChunk, now: float) -> list[Effect]:
        whole = self._commit.take(chunk)
        if whole is None or self._base is None:
            return []
        if whole.version != self._base + 1:
            return [HangUp(f"commit {whole.version} came on top of version {self._base}")]
        # Only what the stream was for shows that it works; a Welcome alone may be followed by the same end each time.
        self._backoff.reset()
        self._base = whole.version
        self.outbox.include(whole.header.included_through)
        frame = frames.CommitFrame(
            version=whole.version,
            buffer_bytes=whole.header.buffer_bytes,
            through=whole.header.included_through,
        )
        return [Tell(frame, whole.payload), *self._report_soon(now)]

    def _conclude(self) -> list[Effect]:
        if self._finished is None or self._base is None:
            return []
        return [Tell(frames.Conclude(version=self._finished))]

    # -- deltas ------------------------------------------------------------------------------------------------

    def _send(self, delta: SealedDelta, received_bytes: int, now: float) -> list[Effect]:
        self.goodput.sent(delta.seq, len(delta.payload) - received_bytes, now, self.rtt_s)
        return [Send(chunk) for chunk in delta.chunks(received_bytes)]

    def _settle(self, outcome: Outcome, now: float) -> list[Effect]:
        self.goodput.settled(outcome.seq, now)
        if outcome.verdict is Verdict.ACCEPTED:
            self.outbox.accept(outcome.seq)
            return self._pass_on(outcome)
        delta = self.outbox.drop(outcome.seq)
        if delta is None:
            return []
        note = Note("warning", f"delta {outcome.seq} rejected ({outcome.reason.name}): {outcome.message}")
        if outcome.refund and self._base is None:
            # Its trainer is gone, or about to be given another base: the refund waits for that.
            self.outbox.owed.append(delta)
            return [note]
        return [note, Tell(frames.Rejection(seq=outcome.seq, refund=outcome.refund))]

    def _pass_on(self, outcome: Outcome) -> list[Effect]:
        # Only a trainer that waits for outcomes has a use for them.
        waits = self._welcome is not None and self._welcome.plan.waits_for == "outcome"
        return [Tell(frames.Accepted(seq=outcome.seq, version=outcome.version))] if waits else []

    # -- the trainer -------------------------------------------------------------------------------------------

    def _start_trainer(self) -> list[Effect]:
        assert self._welcome is not None
        self._ready, self._base = None, None
        self._earlier = self.figures
        return [StartTrainer(self._welcome, self.outbox.next_seq)]

    def _lose_trainer(self, reason: str, now: float) -> list[Effect]:
        self.trainer_restarts += 1
        self._ready, self._base = None, None
        self.figures = msgspec.structs.replace(self.figures, waiting=True)
        wait_s = self._trainer_backoff.next(self._dice)
        self._restart_at = now + wait_s
        return [Note("warning", f"trainer ended ({reason}); starting another in {wait_s:.1f} s")]

    def _listen(self, event: TrainerSaid, now: float) -> list[Effect]:
        if self._ready is None and not isinstance(event.frame, frames.Ready | frames.Failed):
            # Said by a trainer that was stopped since: its deltas carry the numbers of another lineage.
            return []
        match event.frame:
            case frames.Ready():
                return self._trainer_ready(event.frame)
            case frames.SealedFrame():
                return self._take_sealed(event.frame, event.body, now)
            case frames.Applied():
                self._trainer_backoff.reset()
                return []
            case frames.Desync():
                self._base = None
                effects: list[Effect] = [Note("warning", f"trainer needs a snapshot: {event.frame.reason}")]
                return effects + (self._subscribe() if self.live and self._ready else [])
            case frames.Figures():
                self.figures = added(event.frame, self._earlier)
                return self._say_farewell()
            case frames.Failed():
                return [Quit(Exit.TRAINING, event.frame.message)]

    def _trainer_ready(self, ready: frames.Ready) -> list[Effect]:
        assert self._welcome is not None
        if ready.layout_hash != self._welcome.layout_hash.hex():
            return [Quit(Exit.TRAINING, other_model(self._welcome, ready))]
        self._ready = ready
        # A snapshot that began to come for an earlier trainer is right for this one.
        return self._subscribe() if self.live and not self._snapshot_coming else []

    def _take_sealed(self, frame: frames.SealedFrame, payload: bytes, now: float) -> list[Effect]:
        delta = SealedDelta.seal(
            frame.seq,
            payload,
            buffer_bytes=frame.buffer_bytes,
            steps=frame.steps,
            loss=frame.loss,
            energy=frame.energy,
        )
        self.outbox.add(delta)
        return [*(self._send(delta, 0, now) if self.live else []), *self._report_soon(now)]

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


def added(figures: frames.Figures, earlier: frames.Figures) -> frames.Figures:
    """A trainer's figures, with its counters going on from where those before it ended."""
    return msgspec.structs.replace(
        figures,
        steps=earlier.steps + figures.steps,
        cuts=earlier.cuts + figures.cuts,
        compute_s=earlier.compute_s + figures.compute_s,
        wait_s=earlier.wait_s + figures.wait_s,
    )


def plan_fields(plan: Plan) -> dict[str, object]:
    """A plan as the frame to the trainer carries it."""
    return {name: getattr(plan, name) for name in Plan.__dataclass_fields__}


def tell_pending(delta: SealedDelta) -> Tell:
    """Have a trainer carry a delta that it may not have sealed itself."""
    return Tell(frames.Pending(seq=delta.seq, buffer_bytes=delta.header.buffer_bytes), delta.payload)


def other_model(welcome: Welcome, ready: frames.Ready) -> str:
    """Why this device cannot take part, and what to do about it."""
    return (
        f"task {welcome.task!r} builds another model here (layout {ready.layout_hash}, {ready.parameters} parameters) "
        f"than at the coordinator (layout {welcome.layout_hash.hex()}); install the same version of the task on both"
    )
