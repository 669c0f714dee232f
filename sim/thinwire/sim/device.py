"""One device in virtual time: its AgentCore, its trainer and its end of the link."""

from __future__ import annotations

import random
from collections.abc import Callable

from thinwire.client import core, effects, events
from thinwire.client.store import Store
from thinwire.client.store.store import SEGMENT_BYTES
from thinwire.client.telling import plan_fields
from thinwire.common import frames
from thinwire.common.backoff import Backoff
from thinwire.common.disk import Folder
from thinwire.common.errors import DiskError, SyncError
from thinwire.common.exits import Exit
from thinwire.common.values import FromCoordinator, Report
from thinwire.sim.agenda import Agenda, Alarm
from thinwire.sim.call import Call, CoordinatorEnd
from thinwire.sim.line import Line
from thinwire.sim.scenario import Device as Description
from thinwire.sim.trainer import Trainer
from thinwire.trainer.course import Learner, plan_of


class Device:
    """What the agent's asyncio shell does, without it."""

    kind_of_trainer = Trainer
    segment_bytes = SEGMENT_BYTES
    residual_every = 30

    def __init__(
        self,
        agenda: Agenda,
        name: str,
        description: Description,
        line: Line,
        coordinator: CoordinatorEnd,
        learner: Callable[[], Learner],
        trainer_start_s: float,
        dice: random.Random,
        folder: Folder,
    ) -> None:
        self.name, self.line = name, line
        self.folder = folder
        self.store = Store(folder, self.segment_bytes)
        self.core = core.AgentCore(
            name, "simulated", dice, Backoff(), self.store.restored, residual_every=self.residual_every
        )
        self.trainer: Trainer | None = None
        self.notes: list[str] = []
        self.quit: effects.Quit | None = None
        self.tells_figures = False
        self._agenda, self._description = agenda, description
        self._coordinator, self._learner, self._trainer_start_s = coordinator, learner, trainer_start_s
        self._call: Call | None = None
        self._spool = bytearray()
        self._starts = 0
        self._naps_until = 0.0
        self._alarm = Alarm(agenda, self._deadline, lambda: self._handle(events.Tick()))
        agenda.at(description.joins_at, self._alarm.set)

    def _deadline(self) -> float | None:
        return self.core.deadline if self.quit is None else None

    def heard(self, call: Call, word: FromCoordinator) -> None:
        """The coordinator's word came in."""
        self._handle(events.Received(word))

    def closed(self, call: Call, reason: str) -> None:
        """The stream is gone."""
        self._handle(events.Closed(reason))

    def lose_trainer(self) -> None:
        """The trainer dies."""
        if self.trainer is not None:
            self._end_trainer()
            self._handle(events.TrainerLost("killed"))

    def nap(self, until: float) -> None:
        """Do nothing until then; a step that is under way ends first."""
        self._naps_until = max(self._naps_until, until)
        if self.trainer is not None:
            self.trainer.nap(self._naps_until)

    def _handle(self, event: events.Event) -> None:
        if self.quit is not None:
            return
        for effect in self.core.handle(event, self._agenda.now):
            self._perform(effect)
        self._alarm.set()

    def _persist(self, effect: effects.Persist | effects.Flush) -> None:
        try:
            if isinstance(effect, effects.Persist):
                self.store.keep(effect.record, effect.body)
            else:
                self.store.flush()
        except SyncError as error:
            self._perform(effects.Quit(Exit.DISK, str(error)))
            return
        except DiskError as error:
            self._handle(events.DiskRefused(str(error)))
            return
        if isinstance(effect, effects.Flush) or effect.record.synced:
            self._handle(events.Persisted())

    def _recover(self) -> None:
        recovery = self.store.recover()
        for frame, body in recovery.told:
            self._tell(frame, body)
        self._handle(events.Recovered(recovery.forgotten_cuts, recovery.problem))

    def _perform(self, effect: effects.Effect) -> None:  # noqa: C901  # one flat table of effects
        match effect:
            case effects.Send():
                self._say(effect)
            case effects.SendReport():
                self._say(effects.Send(self._report()))
            case effects.Tell():
                self._tell(effect.frame, effect.body)
            case effects.Persist() | effects.Flush():
                self._persist(effect)
            case effects.Recover():
                self._recover()
            case effects.Spool():
                if effect.slice.begins:
                    self._spool.clear()
                self._spool += effect.slice.data
            case effects.GiveBase():
                base = frames.Base(path="", version=effect.version, through=effect.through)
                self._tell(base, bytes(self._spool))
            case effects.StartTrainer():
                self._start_trainer(effect)
            case effects.StopTrainer():
                self._end_trainer()
            case effects.Dial():
                self._dial()
            case effects.HangUp():
                self._hang_up(effect.reason)
            case effects.Note():
                self.notes.append(effect.message)
            case effects.Quit():
                self.quit = effect
                self._hang_up(effect.message)

    def _say(self, effect: effects.Send) -> None:
        if self._call is not None and self._call.at_device:
            self._call.say_up(effect.message)

    def _tell(self, frame: frames.ToTrainer, body: bytes) -> None:
        if self.trainer is not None:
            self.trainer.tell(frame, body)

    def _dial(self) -> None:
        self._call = self.line.dial(self, self._coordinator)
        event = events.Opened() if self._call else events.Closed("the coordinator cannot be reached")
        self._agenda.soon(lambda: self._handle(event))

    def _hang_up(self, reason: str) -> None:
        if self._call is not None and self._call.at_device:
            self._call.hang_up()
            self._agenda.soon(lambda: self._handle(events.Closed(reason)))

    # -- the trainer -------------------------------------------------------------------------------------------

    def _start_trainer(self, effect: effects.StartTrainer) -> None:
        self._end_trainer()
        self._starts += 1
        start = self._starts
        plan = plan_of(plan_fields(effect.welcome.plan))

        def begin() -> None:
            if start == self._starts and self.quit is None:
                self.trainer = self.kind_of_trainer(
                    self._agenda, self._description.step_s, self._learner(), plan, effect.next_seq, self.folder,
                    self._hear_trainer,
                )  # fmt: skip
                self.trainer.tells_figures = self.tells_figures
                self.trainer.nap(self._naps_until)

        self._agenda.at(self._agenda.now + self._trainer_start_s, begin)

    def _end_trainer(self) -> None:
        self._starts += 1
        if self.trainer is not None:
            self.trainer.kill()
            self.trainer = None

    def _hear_trainer(self, frame: frames.FromTrainer, body: bytes) -> None:
        self._handle(events.TrainerSaid(frame, body))

    def _report(self) -> Report:
        figures, meter = self.core.figures, self.core.meter
        return Report(
            version=max(0, figures.version),
            checksum=figures.checksum or 0,
            has_checksum=figures.checksum is not None,
            wire_sent_bytes=self.line.up_bytes,
            wire_received_bytes=self.line.down_bytes,
            rtt_s=self.core.upload.rtt_s,
            goodput_up=self.core.upload.goodput.figure,
            transfer_s=meter.transfer_s,
            hidden_s=meter.hidden_s,
            compute_s=figures.compute_s,
            wait_s=figures.wait_s,
            steps=figures.steps,
            cuts=figures.cuts,
        )
