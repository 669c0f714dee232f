"""The machine that a simulated coordinator runs on: it dies, comes back, and finds on its disk what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thinwire.common import values
from thinwire.common.errors import DamagedError, DiskError
from thinwire.common.values import FromDevice
from thinwire.server import core, effects, entries, events
from thinwire.server.journal import Journal
from thinwire.server.model import Commit
from thinwire.server.recorder import Recorder
from thinwire.server.staging import Staging
from thinwire.sim.call import Call
from thinwire.sim.clock import Clock
from thinwire.sim.disk import SimFolder
from thinwire.sim.process import Process
from thinwire.sim.violation import ViolationError
from thinwire.sim.witness import Witness

if TYPE_CHECKING:
    from thinwire.sim.trial import Trial


class WatchedJournal(Journal):
    """A journal that tells the witness what goes into it."""

    witness: Witness

    def write(self, entry: entries.Entry, body: bytes = b"") -> int:
        """See Journal."""
        # The witness hears of it first: an append that is cut off may be whole on the disk.
        number = self.last + 1
        self.witness.wrote(number, entry, body)  # type: ignore[arg-type]  # an entry is one of these
        try:
            return super().write(entry, body)
        except DiskError:
            self.witness.undo(number - 1)
            raise


class CoordinatorHost:
    """The machine that the coordinator runs on: it dies, comes back, and finds on its disk what is left."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.clock = Clock(trial.agenda)
        self._dice = trial.dice("coordinator disk")
        self.folder = self.empty_folder()
        self.process: Process | None = None
        self.starts = 0
        self._whole: dict[str, bytes] | None = None
        self._gone = False

    def empty_folder(self) -> SimFolder:
        """A folder on the coordinator's disk."""
        return SimFolder("coordinator", self._dice, self._trial.reach_of("coordinator"))

    @property
    def sound(self) -> bool:
        """Whether no bit of its disk is flipped that it has not met yet."""
        return self._whole is None

    def put_back(self, folder: SimFolder) -> None:
        """Another folder is in place of the one that was; the process must be down."""
        self.folder, self._whole = folder, None

    def leap(self, seconds: float) -> None:
        """Its clock jumps."""
        self.clock.leap(seconds)
        if self.process is not None:
            self.process.clock_leapt()

    @property
    def up(self) -> bool:
        """Whether anybody listens."""
        return self.process is not None

    def heard(self, call: Call, word: FromDevice) -> None:
        """A word came in."""
        if self.process is not None:
            self.process.sessions.heard(call, word)

    def closed(self, call: Call) -> None:
        """A stream is gone."""
        if self.process is not None:
            self.process.sessions.closed(call)

    def start(self) -> None:
        """Recover and serve."""
        trial = self._trial
        if self.process is not None:
            return
        self.starts += 1
        try:
            self._start()
        except DamagedError as error:
            if self._whole is None:
                raise ViolationError(f"the coordinator does not start: {error}") from None
            # The operator puts back what was there before the bit was flipped.
            trial.faults["damage found by the coordinator"] += 1
            self.folder.restore(self._whole)
            self._whole = None
            trial.agenda.at(trial.agenda.now + 1.0, self.start)
        except DiskError:
            self.folder.crash(power=False)
            trial.agenda.at(trial.agenda.now + 1.0, self.start)
        else:
            self._whole = None if self.up else self._whole

    def _start(self) -> None:
        trial = self._trial
        trial.misfortunes.another_clock(self.clock)
        journal = self._journal()
        if journal.empty:
            # A run that was never begun is begun again from nothing.
            for name in self.folder.names():
                self.folder.remove(name)
            journal = self._journal()
            # A run that a rollback or a backup left is never half begun.
            assert len(trial.witness.lives.lineages) == 1
            state = trial.first_state()
            journal.begin(state)
            trial.witness.told(state)
            commits: tuple[Commit, ...] = ()
        else:
            recovered = journal.recover()
            state, commits = recovered.state, recovered.commits
            trial.witness.recovered(state, journal.last)
        decisions = core.CoordinatorCore(trial.rules, state, trial.admission)
        recorder = Recorder(decisions, journal)

        def noted(event: events.Event, decided: list[effects.Effect]) -> None:
            trial.witness.decided(state, recorder.last)

        def performed(effect: effects.Effect) -> None:
            if isinstance(effect, effects.Published):
                trial.witness.performed(effect.commit.version, effect.commit.payload)
                trial.commits += 1
            elif isinstance(effect, effects.Settled):
                trial.accepted += effect.outcome.verdict is values.Verdict.ACCEPTED and not effect.repeated

        welcome = values.Welcome(state.identity.lineage, 0, "simulated", "{}", trial.layout.hash, trial.plan, 0)
        staging = Staging(trial.plan.max_delta_bytes, 1 << 24)
        self._gone = False
        process = Process(
            trial.agenda, recorder, journal, welcome, staging, trial.reach_of("coordinator"), trial.misfortunes.sync_s,
            noted, performed, self._fail, commits, self.clock,
        )  # fmt: skip
        if self._gone:
            process.end()
        else:
            self.process = process

    def _journal(self) -> WatchedJournal:
        trial = self._trial
        journal = WatchedJournal(
            self.folder, checkpoint_bytes=trial.checkpoint_bytes, keep_bytes=trial.keep_bytes,
            segment_bytes=trial.segment_bytes,
        )  # fmt: skip
        journal.witness = trial.witness
        return journal

    def _fail(self, error: DiskError) -> None:
        """The process ends itself, for it does not know any more what is on its disk."""
        self._gone = True
        self._trial.faults["coordinator ends itself"] += 1
        self._trial.die("coordinator", power=False)

    def crash(self, *, power: bool) -> None:
        """The process is gone."""
        process, self.process = self.process, None
        # One fault at a time: what a power cut takes of the watermark must not make a flipped bit look like a torn end.
        self.folder.crash(power=power and self._whole is None)
        if process is not None:
            process.end()
        if not power and self._trial.misfortunes.flips(self.folder):
            self._whole = self.folder.backup()
            self._trial.misfortunes.flip(self.folder)
