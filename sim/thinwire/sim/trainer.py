"""A trainer in virtual time: the same Course as in the trainer process, where a step takes `step_s`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from thinwire.common import frames
from thinwire.common.disk import Folder
from thinwire.common.errors import ThinwireError
from thinwire.common.values import Plan
from thinwire.sim import memo
from thinwire.sim.agenda import Agenda
from thinwire.trainer import residual
from thinwire.trainer.course import Course, Learner

Heard = Callable[[frames.FromTrainer, bytes], None]

# As a real trainer does; only links ask for them here, and they cost a pass over the model.
FIGURES_EVERY_S = 1.0


class Trainer:
    """Frames wait while a step is computed, as in the process; what it says is heard only while it lives."""

    def __init__(
        self, agenda: Agenda, step_s: float, learner: Learner, plan: Plan, next_seq: int, folder: Folder, heard: Heard
    ) -> None:
        self.learner, self._folder = learner, folder
        self.alive = True
        self.tells_figures = False
        self._agenda, self._step_s, self._heard = agenda, step_s, heard
        self.inbox: deque[tuple[frames.ToTrainer, bytes]] = deque()
        self._busy = False
        self._naps_until = self._figures_at = 0.0
        self._idle_since = agenda.now
        self.course = Course(learner, plan, next_seq, self._say, memo.unpacked)
        self.course.drain = self._drain

    def tell(self, frame: frames.ToTrainer, body: bytes) -> None:
        """Put a frame into the inbox; the body of a Base is the snapshot itself."""
        self.inbox.append((frame, body))
        if not self._busy:
            self._agenda.soon(self._turn)

    def kill(self) -> None:
        """Nothing more is heard of it."""
        self.alive = False

    def nap(self, until: float) -> None:
        """Begin no step until then."""
        if until > self._agenda.now:
            self._naps_until = until
            self._agenda.at(until, self._turn)

    def _say(self, frame: frames.FromTrainer, body: bytes) -> None:
        def arrive() -> None:
            if self.alive:
                self._heard(frame, body)

        self._agenda.soon(arrive)

    def _turn(self) -> None:
        if self._busy or not self.alive or self._agenda.now < self._naps_until:
            return
        course = self.course
        if course.waiting and course.under_way:
            course.wait_s += self._agenda.now - self._idle_since
        self._drain()
        self._idle_since = self._agenda.now
        if course.waiting == course.may_train:
            course.waiting = not course.may_train
            course.tell_figures()
        if course.may_train and not course.stopped:
            self._busy = True
            self._agenda.at(self._agenda.now + self._step_s, self._step)

    def _drain(self) -> None:
        while self.inbox:
            self._obey(*self.inbox.popleft())

    def _obey(self, frame: frames.ToTrainer, body: bytes) -> None:
        match frame:
            case frames.Restore():
                residual.load(self._folder, frame, self.course.replica)
            case frames.SaveResidual():
                self._say(residual.save(self._folder, frame, self.course.replica), b"")
            case _:
                self.course.obey(frame, body)

    def _step(self) -> None:
        self._busy = False
        if not self.alive:
            return
        try:
            self.course.step()
        except ThinwireError as error:
            self._say(frames.Failed(message=str(error)), b"")
            return
        self.course.compute_s += self._step_s
        if self.tells_figures and self._agenda.now >= self._figures_at:
            self._figures_at = self._agenda.now + FIGURES_EVERY_S
            self.course.tell_figures()
        self._turn()
