"""A coordinator with a disk, in virtual time: one process after another on the same folder.

What the gRPC service and its asyncio shell do, with the same recorder and journal: effects wait until what was written
before them is synced, many share one sync, a checkpoint is written beside it, a full disk holds up whatever is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from thinwire.common import values
from thinwire.common.errors import DiskError
from thinwire.server import effects, events
from thinwire.server.journal import Journal
from thinwire.server.model import Commit
from thinwire.server.plans import Plans
from thinwire.server.recorder import Recorder
from thinwire.server.staging import Staging
from thinwire.sim.agenda import Agenda, Alarm
from thinwire.sim.bulletin import Bulletin
from thinwire.sim.clock import Clock
from thinwire.sim.safety import Safety
from thinwire.sim.sessions import Sessions, Then

Reach = Callable[[str], None]


class Process:
    """One life of a coordinator; `noted` hears of each event and its effects, `performed` of each that is told."""

    def __init__(
        self,
        agenda: Agenda,
        recorder: Recorder,
        journal: Journal,
        welcome: values.Welcome,
        staging: Staging,
        reach: Reach,
        sync_s: Callable[[], float],
        noted: Callable[[events.Event, list[effects.Effect]], None],
        performed: Callable[[effects.Effect], None],
        failed: Callable[[DiskError], None],
        commits: Iterable[Commit],
        clock: Clock,
    ) -> None:
        self.core, self.recorder, self.reach = recorder.core, recorder, reach
        leader_epoch = self.core.state.leader_epoch + 1
        self.bulletin = Bulletin(self.core, replace(welcome, leader_epoch=leader_epoch), Plans(welcome.plan), commits)
        kept = journal.kept()
        if kept is not None and self.bulletin.log.reaches(kept.version):
            self.bulletin.log.keep(kept)
        self.sessions = Sessions(agenda, self, staging, retry_after_s=1.0)
        self.safety = Safety(
            agenda, recorder, journal, sync_s, self._perform, lambda: self.sessions.pump(everyone=True), failed
        )
        self._journal, self._clock = journal, clock
        self._noted, self._performed, self._failed = noted, performed, failed
        self._snapshotting = False
        self._alarm = Alarm(agenda, self._deadline, lambda: self.submit(events.Tick()))
        self.submit(events.Started(leader_epoch))

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.safety.alive

    @property
    def full(self) -> bool:
        """Whether entries wait for room on the disk."""
        return self.recorder.full

    def end(self) -> None:
        """Killed, or without power: it decides and says nothing more."""
        self.safety.alive = False

    def clock_leapt(self) -> None:
        """Look at the deadline again."""
        self._alarm.set()

    def _deadline(self) -> float | None:
        return self._clock.on_agenda(self.core.deadline) if self.alive else None

    def submit(self, event: events.Event, then: Then | None = None) -> None:
        """Have the core handle an event; what it decides is carried out, and `then` called, when it is safe."""
        if not self.alive:
            return
        self.reach(f"coordinator.handle.{type(event).__name__}")
        try:
            decided = self.recorder.handle(event, self._clock.now(self.core.deadline))
        except DiskError as error:
            self._failed(error)
            return
        self._noted(event, decided.effects)
        self.safety.wait(decided, then)
        self._alarm.set()

    def _perform(self, effect: effects.Effect) -> None:
        self.reach(f"coordinator.tell.{type(effect).__name__}")
        for device, word in self.bulletin.post(effect):
            self.sessions.tell(device, word)
        self._performed(effect)

    def snapshot(self) -> bool:
        """Begin to keep a snapshot; nobody may hear of a version that a power cut could still undo."""
        if not self._snapshotting:
            self._snapshotting = True
            made = self.bulletin.pack()

            def keep(_: list[effects.Effect]) -> None:
                self._snapshotting = False
                with suppress(DiskError):
                    self._journal.keep(made)
                self.bulletin.log.keep(made)

            self.safety.wait_for_all(keep)
        return False
