"""Every decision of the agent, without network, clock or await: events and the time go in, effects come out.

    offline --deadline--> dialling --Opened--> greeting --Welcome--> live --Closed--> offline

Beside it runs the trainer: none, starting, ready, based (it holds a model). The two meet in `Subscribe`, which is sent
when the stream is live and the trainer is ready. The trainer never learns of the link, so it never waits for it; what
it seals while the link is down stays in the outbox and is sent after the next Welcome, the same bytes from where the
coordinator holds them. What must survive is `custody`'s: a delta is sent when its seal is safe.
"""

from __future__ import annotations

import random

from thinwire.client import telling
from thinwire.client.custody import Custody
from thinwire.client.dialling import Dialling
from thinwire.client.download import Download
from thinwire.client.effects import (
    Effect,
    HangUp,
    Note,
    Quit,
    Recover,
    Send,
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
from thinwire.client.intake import SnapshotIntake
from thinwire.client.leaving import Leaving
from thinwire.client.outbox import Outbox
from thinwire.client.overlap import OverlapMeter
from thinwire.client.reports import Reports
from thinwire.client.seat import Seat
from thinwire.client.store import Restored
from thinwire.client.upload import Upload
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
    Welcome,
)

# After the disk has refused a snapshot, filling the link with it again is of no use soon.
SPOOL_RETRY_S = 30.0


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
        self.meter = OverlapMeter()
        self.seat = Seat(dice)
        self.upload = Upload(self.seat, self.custody)
        self.download = Download(self.seat, self.custody, partial)
        self._dialling = Dialling(dice, backoff)
        self._reports = Reports(self.seat, self.upload, self.download, leave_when_finished=leave_when_finished)
        self._leaving = Leaving(self.seat, self.custody)

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
        times = (self._dialling.at, self.seat.restart_at, self.custody.flush_at, self._reports.at, self._leaving.at)
        return min((at for at in times if at is not None), default=None)

    @property
    def live(self) -> bool:
        """Whether the coordinator has welcomed this stream."""
        return self._dialling.state == "live"

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event at loop time `now` (seconds, monotonic) and say what is to be done, in this order."""
        effects = self._react(event, now)
        transferring = self.live and (bool(self.outbox.unsettled()) or self.download.busy)
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
                return self.seat.lose(event.reason, now) + self._leaving.trainer_done()
            case Persisted():
                return self.upload.send_kept(now, live=self.live)
            case DiskRefused():
                return self.custody.refused(event, now)
            case SpoolRefused():
                self.download.resume(event.partial)
                reason = f"DEVICE_STORAGE: a snapshot cannot be written: {event.reason}"
                return [HangUp(reason), *self._go_offline(reason, now, SPOOL_RETRY_S)]
            case Recovered():
                return self.custody.recovered(event)
            case Leave():
                return self._leaving.begin(now)
            case Tick():
                return self._tick(now)

    def _tick(self, now: float) -> list[Effect]:
        effects = self._dialling.tick(now) + self.custody.tick(now)
        effects += self.seat.tick(now, self.outbox.next_seq)
        return effects + self._reports.tick(now) + self._leaving.tick(now)

    # -- the link ----------------------------------------------------------------------------------------------

    def _go_offline(self, reason: str, now: float, at_least_s: float = 0.0) -> list[Effect]:
        if self._dialling.state == "offline":
            return []
        self._reports.lose_link()
        self.upload.lose_link()
        self.download.lose_link()
        return self._dialling.lose(reason, now, at_least_s)

    def _hear(self, message: FromCoordinator, now: float) -> list[Effect]:  # one flat table of words
        match message:
            case Welcome():
                return self._welcomed(message, now)
            case _ if not self.live and not isinstance(message, Refusal):
                return [HangUp("the coordinator spoke before its Welcome")]
            case SnapshotChunk():
                return self.download.take_snapshot(message)
            case CommitChunk():
                return self._take_commit(message, now)
            case Outcome():
                self._dialling.of_use()
                return self.upload.settle(message, now)
            case Plan():
                return self.seat.replan(message)
            case Finish():
                return self._take_finish(message)
            case Refusal():
                return self._refused(message, now)
            case Echo():
                self.upload.echoed(now)
                return []

    def _welcomed(self, welcome: Welcome, now: float) -> list[Effect]:
        if self.custody.outranks(welcome):
            reason = (
                f"this coordinator is of start {welcome.leader_epoch}, and one of start {self.custody.leader_epoch} "
                "has spoken since; two coordinators are running, or this one came back from an old state"
            )
            return [HangUp(reason), *self._go_offline(reason, now, SPOOL_RETRY_S)]
        self._dialling.welcomed()
        note = Note("info", f"welcome at version {welcome.version}, epoch {welcome.epoch}")
        effects = [note, *self._reports.welcomed(now)]
        if self.custody.knows(welcome):
            return effects + self.custody.follow(welcome) + self._go_on(welcome, now)
        return effects + self._begin(welcome)

    def _begin(self, welcome: Welcome) -> list[Effect]:
        another, before = self.custody.lineage != b"", self.custody.abandoned
        effects = self.custody.begin(welcome)
        self.download.begin()
        if another:
            abandoned = self.custody.abandoned - before
            effects = [
                Note("warning", f"another training has begun; {abandoned} deltas are void"),
                StopTrainer(),
                *effects,
            ]
        return effects + self.seat.start(welcome, self.outbox.next_seq)

    def _go_on(self, welcome: Welcome, now: float) -> list[Effect]:
        effects = self.seat.replan(welcome.plan)
        for outcome in welcome.outcomes:
            effects += self.upload.settle(outcome, now)
        if not self.seat.has_task:
            # The first stream of this agent, in the training of the one before it.
            effects += self.seat.start(welcome, self.outbox.next_seq)
        elif self.seat.ready is not None:
            effects += self.download.subscribe()
        return effects + self.upload.resume(welcome.staged, now)

    def _take_finish(self, finish: Finish) -> list[Effect]:
        self.download.finish_at = finish.version
        note = Note("info", f"training is over: {finish.reason}")
        return [note, *(self._reports.farewell(live=self.live) or self.download.conclude())]

    def _refused(self, refusal: Refusal, now: float) -> list[Effect]:
        if refusal.fatal:
            return [Quit(Exit.REFUSED, refusal.message)]
        at_least_s = refusal.retry_after_s
        if refusal.reason is RefusalReason.FENCED:
            at_least_s = max(at_least_s, 30.0)
        return [HangUp(refusal.message), *self._go_offline(refusal.message, now, at_least_s)]

    def _take_commit(self, chunk: CommitChunk, now: float) -> list[Effect]:
        effects = self.download.take_commit(chunk)
        if any(isinstance(effect, Tell) for effect in effects):
            self._dialling.of_use()
            self._reports.soon(now, live=self.live)
        return effects

    # -- the trainer -------------------------------------------------------------------------------------------

    def _listen(self, event: TrainerSaid, now: float) -> list[Effect]:
        if self.seat.ready is None and not isinstance(event.frame, frames.Ready | frames.Failed):
            # Said by a trainer that was stopped since: its deltas carry the numbers of another lineage.
            return []
        match event.frame:
            case frames.Ready():
                return self._trainer_ready(event.frame, now)
            case frames.SealedFrame():
                self._reports.soon(now, live=self.live)
                return self.custody.seal(event.frame, event.body) + self.custody.save_after_cut(now)
            case frames.ResidualSaved():
                return self.custody.adopt(event.frame) + self._leaving.trainer_done()
            case frames.Applied():
                self.seat.works()
                return []
            case frames.Desync():
                self.seat.base = None
                effects: list[Effect] = [Note("warning", f"trainer needs a snapshot: {event.frame.reason}")]
                return effects + (self.download.subscribe() if self.live else [])
            case frames.Figures():
                self.seat.count(event.frame)
                return self.custody.save_by_time(self.figures.steps, now) + self._reports.farewell(live=self.live)
            case frames.Failed():
                return [Quit(Exit.TRAINING, event.frame.message)]

    def _trainer_ready(self, ready: frames.Ready, now: float) -> list[Effect]:
        if unfit := self.seat.take(ready):
            return unfit
        self.custody.schedule.begin(ready, now)
        # From here on the trainer carries what the outbox holds, and hears of every change.
        effects: list[Effect] = [Recover(), *(telling.tell_pending(delta) for delta in self.outbox.pending())]
        # A snapshot that began to come for an earlier trainer is right for this one.
        return effects + (self.download.subscribe() if self.live and not self.download.snapshot_coming else [])
