"""Waiting for a simulated disk, as thinwire.server.safety does for a real one: effects wait, in order, for a sync."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from thinwire.common.errors import DiskError
from thinwire.server import effects
from thinwire.server.journal import Journal
from thinwire.server.recorder import Checkpoint, Decided, Recorder
from thinwire.sim.agenda import Agenda
from thinwire.sim.sessions import Then

# How often a full disk is looked at again.
ROOM_EVERY_S = 1.0


@dataclass(slots=True)
class _Waiting:
    effects: list[effects.Effect]
    after: int
    then: Then | None


class Safety:
    """What was decided and may not be told yet. A sync takes `sync_s()`, and many share one.

    `perform` carries out an effect that is safe, `performed` is called after those of one sync, `failed` when the disk
    has.
    """

    def __init__(
        self,
        agenda: Agenda,
        recorder: Recorder,
        journal: Journal,
        sync_s: Callable[[], float],
        perform: Callable[[effects.Effect], None],
        performed: Callable[[], None],
        failed: Callable[[DiskError], None],
    ) -> None:
        self.alive = True
        self._agenda, self._recorder, self._journal, self._sync_s = agenda, recorder, journal, sync_s
        self._perform, self._performed, self._failed = perform, performed, failed
        self._unsafe: deque[_Waiting] = deque()
        self._syncing = self._retrying = False

    def wait(self, decided: Decided, then: Then | None = None) -> None:
        """Carry out these effects, and call `then` with them, when all that was written before is safe."""
        self._unsafe.append(_Waiting(decided.effects, decided.after, then))
        if self._recorder.full:
            self._retry_later()
        elif not self._syncing:
            self._syncing = True
            self._agenda.at(self._agenda.now + self._sync_s(), self._sync)

    def wait_for_all(self, then: Then | None = None) -> None:
        """Call `then` when all that was written so far is safe."""
        self.wait(Decided([], self._recorder.last), then)

    def _sync(self) -> None:
        self._syncing = False
        if not self.alive:
            return
        try:
            upto = self._recorder.sync()
        except DiskError as error:
            self._failed(error)
            return
        self._carry_out(upto)
        due = self._recorder.take_checkpoint()
        if due is not None:
            self._agenda.at(self._agenda.now + self._sync_s(), lambda: self._checkpoint(due))
        if self._unsafe and not self._syncing:
            self.wait_for_all()

    def _carry_out(self, upto: int) -> None:
        while self._unsafe and self._unsafe[0].after <= upto:
            waiting = self._unsafe.popleft()
            for effect in waiting.effects:
                self._perform(effect)
            if waiting.then is not None:
                waiting.then(waiting.effects)
        self._performed()

    def _checkpoint(self, due: Checkpoint) -> None:
        if self.alive:
            # Without one a restart takes longer, no more.
            with suppress(DiskError):
                self._journal.checkpoint(due.number, due.frozen, due.vectors)

    # -- a full disk -------------------------------------------------------------------------------------------

    def _retry_later(self) -> None:
        if not self._retrying:
            self._retrying = True
            self._agenda.at(self._agenda.now + ROOM_EVERY_S, self._retry)

    def _retry(self) -> None:
        self._retrying = False
        if not self.alive:
            return
        try:
            written = self._recorder.retry()
        except DiskError as error:
            self._failed(error)
            return
        if written:
            self.wait_for_all()
        else:
            self._retry_later()
