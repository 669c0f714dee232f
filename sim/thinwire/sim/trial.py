"""One seed: a small fleet, everything that can go wrong with it, and a witness; then calm, in which all must settle.

    Trial(seed).run() -> Result

The coordinator, the agents and the trainers are the product's own; what is simulated is time, streams and disks.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from thinwire.client import effects as agent_effects
from thinwire.client import events as agent_events
from thinwire.client.store import Covered, Joined, Sealed, Settled, records
from thinwire.common import frames, values
from thinwire.common.codec import ValueCode, kept_of
from thinwire.common.errors import DamagedError, DiskError, SyncError
from thinwire.common.values import FromCoordinator, FromDevice, Plan
from thinwire.server import core, effects, entries, events
from thinwire.server.admit import Admission
from thinwire.server.journal import Journal
from thinwire.server.model import Commit, GlobalModel
from thinwire.server.policy import Buffered, Sync
from thinwire.server.recorder import Recorder
from thinwire.server.staging import Staging
from thinwire.server.state import Identity, RunState
from thinwire.sim.agenda import Agenda
from thinwire.sim.device import Device
from thinwire.sim.disk import Crash, SimFolder
from thinwire.sim.durable import Process
from thinwire.sim.injector import Injector
from thinwire.sim.scenario import Device as Description
from thinwire.sim.stream import Stream, Trouble, TroubledLine
from thinwire.sim.tokens import Count, Purse, TokenLearner, purses
from thinwire.sim.trainer import Trainer
from thinwire.sim.witness import ViolationError, Witness, unsealed
from thinwire.trainer.replica import Replica

SIZE = 32
TROUBLED_S = 6.0
CALM_S = 300.0
A_STEP = 3
MOST_STEPS = 20_000


@dataclass(slots=True)
class Result:
    """What became of one seed."""

    seed: int
    violation: str = ""
    steps: int = 0
    versions: int = 0
    accepted: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


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
        self.folder = SimFolder("coordinator", trial.dice("coordinator disk"), trial.reach_of("coordinator"))
        self.process: Process | None = None
        self.starts = 0
        self._whole: dict[str, bytes] | None = None
        self._gone = False

    @property
    def up(self) -> bool:
        """Whether anybody listens."""
        return self.process is not None

    def heard(self, call: Stream, word: FromDevice) -> None:
        """A word came in."""
        if self.process is not None:
            self.process.heard(call, word)

    def closed(self, call: Stream) -> None:
        """A stream is gone."""
        if self.process is not None:
            self.process.closed(call)

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
            self._whole = None

    def _start(self) -> None:
        trial = self._trial
        journal = self._journal()
        if journal.empty:
            # A run that was never begun is begun again from nothing.
            for name in self.folder.names():
                self.folder.remove(name)
            journal = self._journal()
            state = trial.first_state()
            journal.begin(state)
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

        welcome = values.Welcome(
            state.identity.lineage, 0, "simulated", "{}", trial.layout.hash, trial.plan, 0
        )
        staging = Staging(trial.plan.max_delta_bytes, 1 << 24)
        self._gone = False
        process = Process(
            trial.agenda, recorder, welcome, staging, trial.reach_of("coordinator"), trial.sync_s, noted, performed,
            self._fail, commits,
        )  # fmt: skip
        process.alive = not self._gone
        self.process = None if self._gone else process

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
            process.alive = False
        if not power and self._trial.flips(self.folder):
            self._whole = self.folder.backup()
            self._trial.flip(self.folder)


class TokenTrainer(Trainer):
    """A trainer whose residual the host knows as well."""

    host: AgentHost

    @property
    def purse(self) -> Purse:
        """What it learns from."""
        assert isinstance(self.learner, TokenLearner)
        return self.learner.purse

    def last_words(self) -> Replica:
        """What it held when it died: words that had reached it by then make no difference to anybody else."""
        while self.inbox:
            frame, body = self.inbox.popleft()
            if not isinstance(frame, frames.SaveResidual):
                super()._obey(frame, body)
        return self.course.replica

    def _obey(self, frame: frames.ToTrainer, body: bytes) -> None:
        if isinstance(frame, frames.SaveResidual):
            self.host.saves(frame, self.course.replica)
        try:
            super()._obey(frame, body)
        except DiskError:
            self.host.restores_nothing()
            self._agenda.soon(self.host.lose_trainer)


class Agent(Device):
    """A device whose words, records and seals the witness hears of."""

    kind_of_trainer = TokenTrainer
    host: AgentHost

    @property
    def epoch(self) -> int:
        """The store epoch it is in."""
        return self.core.custody.epoch

    def heard(self, call: Stream, word: FromCoordinator) -> None:  # type: ignore[override]
        """See Device."""
        self.host.reach(f"agent.hear.{type(word).__name__}")
        self.host.witness.heard(self.name, self.epoch, word)
        super().heard(call, word)  # type: ignore[arg-type]

    def _handle(self, event: agent_events.Event) -> None:
        if self.quit is not None:
            return
        before = self.epoch
        decided = self.core.handle(event, self._agenda.now)
        if self.epoch != before:
            self.host.begins_anew(before)
        for effect in decided:
            self._perform(effect)
        self._alarm.set()

    def _persist(self, effect: agent_effects.Persist | agent_effects.Flush) -> None:
        if isinstance(effect, agent_effects.Persist):
            self.host.keeps(effect.record, effect.body)
            self.host.reach(f"agent.keep.{type(effect.record).__name__}")
        try:
            if isinstance(effect, agent_effects.Persist):
                self.store.keep(effect.record, effect.body)
            else:
                self.store.flush()
        except SyncError:
            self.host.ends_itself()
        except DiskError as error:
            self._handle(agent_events.DiskRefused(str(error)))
        else:
            if isinstance(effect, agent_effects.Flush) or effect.record.synced:
                self.host.kept()
                self._handle(agent_events.Persisted())

    def _recover(self) -> None:
        told: list[tuple[frames.ToTrainer, bytes]] = []
        try:
            recovery = self.store.recover()
            for frame, body in recovery.told:
                self._tell(frame, body)
                told.append((frame, body))
        except DiskError:
            self.host.ends_itself()
            return
        self.host.recovers(told)
        self._handle(agent_events.Recovered(recovery.forgotten_cuts, recovery.problem))

    def _say(self, effect: agent_effects.Send) -> None:
        self.host.reach(f"agent.say.{type(effect.message).__name__}")
        word = effect.message
        if isinstance(word, values.DeltaChunk) and word.header is not None:
            self.host.witness.said(self.name, self.epoch, word.seq, word.header.sha256)
        super()._say(effect)

    def _tell(self, frame: frames.ToTrainer, body: bytes) -> None:
        self.host.reach(f"agent.tell.{type(frame).__name__}")
        super()._tell(frame, body)

    def _hear_trainer(self, frame: frames.FromTrainer, body: bytes) -> None:
        self.host.reach(f"agent.hear.{type(frame).__name__}")
        super()._hear_trainer(frame, body)

    def _start_trainer(self, effect: agent_effects.StartTrainer) -> None:
        self.kind_of_trainer.host = self.host
        super()._start_trainer(effect)

    def _end_trainer(self) -> None:
        self.host.trainer_ends()
        super()._end_trainer()


class AgentHost:
    """The machine of one device: its agent and its trainer die, come back, and find on the disk what is left.

    It also keeps account, token by token, of what is nowhere but on the disk: `limbo` is what went down with a trainer
    or an agent; what a new trainer must get back of it is worked out from the records that were made, not asked for.
    """

    def __init__(self, trial: Trial, number: int) -> None:
        self._trial = trial
        self.name = f"device-{number}"
        self.agent: Agent | None = None
        self.witness, self.reach = trial.witness, trial.reach_of(self.name)
        dice = trial.dice(f"{self.name} link")
        self.line = TroubledLine(trial.agenda, trial.trouble(dice), dice, lambda: trial.coordinator.up, lambda _: None)
        self.folder = SimFolder("agent", trial.dice(f"{self.name} disk"), self.reach)
        self._starts = 0
        self._limbo_P = trial.nothing()
        self._sealed_at: dict[int, int] = {}
        self._changes: list[records.Sealed | records.Settled] = []
        self._files: dict[int, tuple[Count, int, int]] = {}  # by generation: tokens, seals, refunds
        self._adopted = self._safe = 0  # newest generations that the log names, and names for sure
        self._joined = self._safe_epoch = 0
        self._down: dict[int, bool] = {}
        self._restored: Trainer | None = None
        self._due_P = trial.nothing()
        self._down_epoch, self._down_kept = -1, 0
        self._flipped, self._just_flipped = "", False
        self._abandoned: tuple[int, list[int]] | None = None
        kind = type("TrainerOfHost", (TokenTrainer,), {"host": self})
        self._kind = type(
            "AgentOfHost", (Agent,),
            {
                "host": self, "kind_of_trainer": kind, "segment_bytes": trial.outbox_bytes,
                "residual_every": trial.residual_every,
            },
        )  # fmt: skip

    # -- its lives ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Go on with what the disk gives back."""
        if self.agent is not None:
            return
        trial, self._starts = self._trial, self._starts + 1
        try:
            self.agent = self._life()
        except DiskError:
            self.folder.crash(power=False)
            trial.agenda.at(trial.agenda.now + 1.0, self.start)
            return
        self._comes_back(self.agent)

    def _life(self) -> Agent:
        trial = self._trial
        description = Description(step_s=trial.step_s, joins_at=trial.agenda.now)
        agent: Agent = self._kind(
            trial.agenda, self.name, description, self.line, trial.coordinator,
            lambda: TokenLearner(trial.purses[self.name]), trial.trainer_start_s,
            trial.dice(f"{self.name} agent {self._starts}"), self.folder,
        )  # fmt: skip
        return agent

    def lose_trainer(self) -> None:
        """The trainer is killed; the agent starts another."""
        if self.agent is not None and self.agent.trainer is not None:
            self.agent.lose_trainer()

    def nap(self, until: float) -> None:
        """The device is slow, or asleep."""
        if self.agent is not None:
            self.agent.nap(until)

    def ends_itself(self) -> None:
        """The agent does not know any more what is on its disk."""
        self._trial.faults["agent ends itself"] += 1
        self._trial.die(self.name, power=False)

    def crash(self, *, power: bool) -> None:
        """The agent is gone, and its trainer with it."""
        agent = self.agent
        if agent is not None:
            agent._end_trainer()
            agent.quit = agent_effects.Quit(0, "gone")
            self._down = {delta.seq: True for delta in agent.core.outbox.pending()}
            self._down_epoch, self._down_kept = agent.epoch, agent.core.outbox.kept_through
            self._adopted, self._joined = self._safe, self._safe_epoch
            self.agent = None
            self.line.break_for(0.0, 0.0)
        # As with the coordinator: one fault at a time.
        self.folder.crash(power=power and not self._just_flipped)
        if not power and self._trial.flips(self.folder):
            self._flipped = self._trial.flip(self.folder)
            self._just_flipped = True

    def _comes_back(self, agent: Agent) -> None:
        self._just_flipped = False
        if self._down_epoch < 0:
            return
        outbox = agent.core.outbox
        if agent.store.restored.problem and self._flipped:
            # What was set aside is abandoned, and given up when the device is told its new epoch.
            self._trial.faults["damage found by an agent"] += 1
            self._abandoned = (self._down_epoch, list(self._down))
            self._safe_epoch = self._joined = self._adopted = self._safe = 0
            self._changes.clear()
            self._files.clear()
            return
        if agent.epoch < self._safe_epoch:
            raise ViolationError(f"{self.name} was in epoch {self._safe_epoch} and came back in {agent.epoch}")
        if outbox.next_seq - 1 < self._down_kept:
            raise ViolationError(f"{self.name}: seal {self._down_kept} was safe, but {outbox.next_seq - 1} is the last")
        back = {delta.seq for delta in outbox.pending()}
        for seq in self._down.keys() ^ back:
            who = (self.name, self._down_epoch, seq)
            if not self.witness.settled(who):
                # A seal that was not safe is undone; so is an outcome, which will be heard of again.
                self._limbo_P += self.witness.sealed[who] if seq in self._down else -self.witness.sealed[who]
        self._changes = [
            change for change in self._changes
            if (change.seq < outbox.next_seq if isinstance(change, records.Sealed) else change.refund <= outbox.refunds)
        ]  # fmt: skip

    # -- what the witness must know ----------------------------------------------------------------------------

    def saves(self, frame: frames.SaveResidual, replica: Replica) -> None:
        """The trainer is about to write its residual down."""
        self._files[frame.generation] = (unsealed(replica), replica.next_seq - 1, frame.refunds)

    def keeps(self, record: records.Record, body: bytes) -> None:
        """The agent is about to write this down."""
        match record:
            case Joined():
                self._joined = record.epoch
            case Sealed():
                assert self.agent is not None
                self.witness.seal(self.name, self.agent.epoch, record.seq, body)
                self._changes.append(record)
            case Settled() if record.refund:
                self._changes.append(record)
                agent = self.agent
                assert agent is not None
                if agent.core.seat.ready is None:
                    # Nobody is there to take it back: what comes next must.
                    self._limbo_P += self.witness.sealed[self.name, agent.epoch, record.seq]
            case Covered() if self._adopted or record.seals >= self._last_seal:
                # Otherwise it is of no use: without an earlier file, no note was taken of what was sealed since.
                self._adopted = record.generation
            case _:
                pass

    @property
    def _last_seal(self) -> int:
        return self.agent.core.outbox.next_seq - 1 if self.agent else 0

    def kept(self) -> None:
        """All that was written down is safe."""
        self._safe, self._safe_epoch = self._adopted, self._joined

    def trainer_ends(self) -> None:
        """What the trainer held is nowhere now but on the disk, as far as it is there."""
        agent = self.agent
        if agent is None or agent.trainer is None or agent.trainer is not self._restored:
            return  # one that was not given back everything has learned nothing yet
        assert isinstance(agent.trainer, TokenTrainer)
        replica = agent.trainer.last_words()
        self._limbo_P += unsealed(replica)
        outbox = {delta.seq for delta in agent.core.outbox.pending()}
        for seq in replica.pending.keys() - outbox:
            who = (self.name, agent.epoch, seq)
            if not self.witness.settled(who):
                self._limbo_P += self.witness.pending(replica, seq)

    def recovers(self, told: list[tuple[frames.ToTrainer, bytes]]) -> None:
        """A new trainer is told what there is of the residual; the rest is forgotten."""
        restore = next((frame for frame, _ in told if isinstance(frame, frames.Restore)), None)
        generation = int(restore.file.split("-")[1]) if restore is not None else 0
        if generation < self._safe and not self._flipped:
            raise ViolationError(f"{self.name}: residual {self._safe} is safe, but {generation} is given back")
        due_P = self._due(generation)
        if (due_P & ~self._limbo_P).any():
            raise ViolationError(f"{self.name}: what the disk gives back was not lost: {due_P} of {self._limbo_P}")
        self.witness.forget(self.name, self._limbo_P - due_P)
        self._limbo_P, self._due_P = self._trial.nothing(), due_P
        assert self.agent is not None
        self._restored = self.agent.trainer

    def restores_nothing(self) -> None:
        """The trainer could not read what it was to be given back."""
        self._limbo_P, self._restored = self._limbo_P + self._due_P, None

    def _due(self, generation: int) -> Count:
        assert self.agent is not None
        saved_P, seals, refunds = self._files.get(generation, (self._trial.nothing(), 0, 0))
        due_P = saved_P.copy()
        for change in self._changes:
            who = (self.name, self.agent.epoch, change.seq)
            if isinstance(change, Sealed):
                if change.seq > seals:
                    due_P[self.witness.chosen[who]] = 0
            elif change.refund > refunds:
                due_P += self.witness.sealed[who]
        return due_P

    def begins_anew(self, before: int) -> None:
        """The agent was given another epoch; nothing of the old one counts any more."""
        if before:
            raise ViolationError(f"{self.name} was made to begin anew after epoch {before}")
        if self._abandoned is None:
            return
        (epoch, seqs), self._abandoned = self._abandoned, None
        for seq in seqs:
            who = (self.name, epoch, seq)
            if not self.witness.settled(who):
                self._limbo_P += self.witness.sealed[who]
        self.witness.forget(self.name, self._limbo_P)
        self._limbo_P = self._trial.nothing()

    # -- how it is ---------------------------------------------------------------------------------------------

    def steady(self) -> bool:
        """Whether the device's books are in one place: no word is on its way between agent and trainer."""
        agent = self.agent
        if agent is None or agent.quit is not None or agent.trainer is None or agent.core.seat.ready is None:
            return False
        return agent.trainer.course.replica.based and not agent.trainer.inbox

    def settled(self) -> bool:
        """Whether the device is back in the training, and all that was born is settled."""
        if self.agent is None or not self.agent.core.live:
            return False
        account = self.witness.accounts[self.name]
        return np.array_equal(self.witness.gone(self.name) + account.forgotten_P, account.purse.born_P)

    def audit(self) -> None:
        """Hold the device's books against what is there."""
        agent, witness = self.agent, self.witness
        assert agent is not None
        assert agent.trainer is not None
        outbox = [delta.seq for delta in agent.core.outbox.pending()]
        held = {seq: witness.sealed[self.name, agent.epoch, seq] for seq in outbox}
        witness.device(self.name, agent.epoch, agent.trainer.course.replica, held)


class Trial:
    """One fleet, one seed."""

    def __init__(self, seed: int, *, trace: Callable[[str], None] | None = None) -> None:
        self.seed, self._trace = seed, trace
        dice = self.dice("scenario")
        self.agenda = Agenda()
        self.faults: Counter[str] = Counter()
        self.commits = self.accepted = self.steps = 0
        count = 4 if dice.random() < 0.1 else 2
        learners = purses(SIZE, count, A_STEP, dice)
        self.purses = {f"device-{number}": purse for number, purse in enumerate(learners)}
        self.plan = Plan(
            local_steps=dice.choice((1, 2, 3)), density=dice.choice((0.1, 0.2, 0.4)), values="fp32",
            window=dice.choice((1, 2, 4)), overlap=dice.random() < 0.8, omega=dice.choice((0.0, 0.5, 1.0)),
        )  # fmt: skip
        window = self.plan.window if self.plan.overlap else 1
        policies = Buffered(1), Buffered(2, window), Buffered(3, window), Sync(0.5, 1.0)
        self.rules = core.Rules(
            policy=dice.choice(policies), values_down=ValueCode.FP32, density_down=dice.choice((1.0, 0.3, 0.1)),
            denominator="all", min_devices=count, evaluate=False,
        )  # fmt: skip
        self.step_s = dice.choice((0.25, 0.5))
        self._audit_every = dice.choice((1, 8, 8, 8, 8, 8, 8, 8))
        self.trainer_start_s = dice.choice((0.0, 0.3))
        self.segment_bytes = dice.choice((600, 3000, 1 << 20))
        self.checkpoint_bytes = dice.choice((0, 100, 300, 1 << 20))
        self.keep_bytes = dice.choice((0, 3000, 1 << 20))
        self.outbox_bytes = dice.choice((400, 1200, 1 << 20))
        self.residual_every = dice.choice((1, 2, 5))
        self._max_sync_s = dice.choice((0.0, 0.005, 0.3, 0.6))
        first = TokenLearner(learners[0])
        self.layout, self._buffers = first.layout, first.buffer_layout
        self.admission = Admission(
            layout=self.layout, buffer_layout=self._buffers, max_kept=min(SIZE, 2 * kept_of(self.plan.density, SIZE)),
            max_bytes=self.plan.max_delta_bytes, max_staleness=dice.choice((0, 1, 64)),
        )  # fmt: skip
        self.injector = Injector(self.dice("injector"), dice.choice((0.0, 0.03, 0.1, 0.25)))
        self._disk_dice = self.dice("disks")
        self._victim = ""
        self._power_dice, self._flip_dice = self.dice("power"), self.dice("flips")
        self._flip_rate = dice.choice((0.0, 0.0, 0.5))
        self._flipped: list[SimFolder] = []
        self.calm = False
        self.witness = Witness(self.layout, self.purses)
        self.coordinator = CoordinatorHost(self)
        self.agents = {f"device-{number}": AgentHost(self, number) for number in range(count)}

    def dice(self, what: str) -> random.Random:
        """Dice for one purpose alone, so that one more throw somewhere changes nothing elsewhere."""
        return random.Random(f"{self.seed} {what}")

    def run(self) -> Result:
        """Trouble, then calm; what became of it."""
        result = Result(self.seed)
        try:
            self._live()
        except ViolationError as violation:
            result.violation = f"at {self.agenda.now:.3f} s: {violation}"
        result.steps, result.versions, result.accepted = self.steps, self.commits, self.accepted
        result.reached, result.kills, result.faults = self.injector.reached, self.injector.kills, self.faults
        return result

    def _live(self) -> None:
        self._do(self.coordinator.start)
        for host in self.agents.values():
            self._do(host.start)
        self._plan_trouble(self.dice("trouble"))
        self.agenda.at(TROUBLED_S, self._calm)
        while self._step(TROUBLED_S):
            pass
        # Nothing more is born, so that everything can come to rest.
        end = TROUBLED_S + CALM_S
        while not self._settled() and self._step(end):
            pass
        self._at_rest()

    def _step(self, until: float) -> bool:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise ViolationError("it does not come to rest")
        self._victim = ""
        try:
            more = self.agenda.step(until)
        except Crash as crash:
            self.note(f"{self._victim} dies at {crash.point}")
            self.die(self._victim, power=self._power_dice.random() < 0.6)
            return True
        if self.steps % self._audit_every == 0 and self.agenda.quiet:
            self._audit()
        return more

    def _do(self, act: Callable[[], None]) -> None:
        self.agenda.soon(act)

    def _audit(self) -> None:
        process = self.coordinator.process
        if process is not None and not process.recorder.full:
            self.witness.model(process.core.state)
        for host in self.agents.values():
            if process is not None and host.steady():
                host.audit()

    # -- trouble -----------------------------------------------------------------------------------------------

    def reach_of(self, victim: str) -> Callable[[str], None]:
        """The named points of one machine."""

        def strike(_: object) -> None:
            self._victim = victim

        return self.injector.of(victim, strike)

    def die(self, victim: str, *, power: bool) -> None:
        """A machine goes down now, and comes back after a while."""
        dice = self._power_dice
        self.faults["power cut" if power else "killed"] += 1
        back = self.agenda.now + dice.choice((0.1, 0.5, 3.0))
        if victim == "coordinator":
            self.coordinator.crash(power=power)
            for host in self.agents.values():
                host.line.break_for(0.0, 0.0)
            self.agenda.at(back, self.coordinator.start)
        else:
            self.agents[victim].crash(power=power)
            self.agenda.at(back, self.agents[victim].start)

    def nothing(self) -> Count:
        """No token at all (P,)."""
        return np.zeros(SIZE, np.int64)

    def note(self, what: str) -> None:
        """A line of the trace."""
        if self._trace is not None:
            self._trace(f"{self.agenda.now:9.3f} s  {what}")

    def sync_s(self) -> float:
        """How long the disk takes now."""
        return self._disk_dice.random() * self._max_sync_s

    def _plan_trouble(self, dice: random.Random) -> None:
        for _ in range(dice.choice((0, 2, 6))):
            at, host = dice.uniform(0, TROUBLED_S), dice.choice(list(self.agents.values()))
            kind = dice.randrange(9)
            for_s, notice_s = dice.choice((0.0, 0.3, 2.0, 6.0)), dice.choice((0.0, 0.2, 2.0))
            if kind == 0:
                self._at(at, "link breaks", partial(host.line.break_for, for_s, notice_s))
            elif kind == 1:
                broken = partial(host.line.break_for, for_s, notice_s + 1.0, up_lost=False)
                self._at(at, "link breaks, words upward arrive", broken)
            elif kind == 2:
                self._at(at, "answers held up", partial(host.line.hold_up_down, for_s))
            elif kind == 3:
                self._at(at, "trainer killed", host.lose_trainer)
            elif kind == 4:
                self._at(at, "device asleep", partial(host.nap, at + for_s))
            else:
                self._plan_disk_trouble(dice, at, for_s, dice.choice((host.folder, self.coordinator.folder)))

    def _plan_disk_trouble(self, dice: random.Random, at: float, for_s: float, folder: SimFolder) -> None:
        def full(now: bool) -> Callable[[], None]:
            def turn() -> None:
                folder.full = now

            return turn

        def slow(most_s: float) -> Callable[[], None]:
            def turn() -> None:
                self._max_sync_s = most_s

            return turn

        match dice.randrange(3):
            case 0:
                self._at(at, f"disk full at the {folder.owner}", full(True))
                self.agenda.at(at + for_s, full(False))
            case 1:
                after = dice.choice((0, 1, 3, 9))
                self._at(at, f"disk error at the {folder.owner}", lambda: folder.fail(after))
            case 2:
                self._at(at, "slow disk", slow(2.0))
                self.agenda.at(at + for_s, slow(self._max_sync_s))

    def flips(self, folder: SimFolder) -> bool:
        """Whether a bit is flipped on the disk of a machine that is down; once in its life."""
        spared = self.calm or folder in self._flipped
        return not spared and self._flip_dice.random() < self._flip_rate

    def flip(self, folder: SimFolder) -> str:
        """Flip a bit somewhere; where."""
        files = [name for name in folder.names() if folder.size(name)]
        if not files:
            return ""
        name = self._flip_dice.choice(files)
        self._flipped.append(folder)
        folder.flip(name, self._flip_dice.randrange(8 * folder.size(name)))
        self.faults[f"bit flipped at the {folder.owner}"] += 1
        self.note(f"a bit of {folder.owner} {name} is flipped")
        return name

    def _at(self, time: float, what: str, act: Callable[[], None]) -> None:
        def strike() -> None:
            self.faults[what] += 1
            self.note(what)
            act()

        self.agenda.at(time, strike)

    # -- calm --------------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        self.injector.armed = False
        self.calm = True
        for folder in (self.coordinator.folder, *(host.folder for host in self.agents.values())):
            folder.full = False
            folder.fail(None)
        self.note("calm")
        for purse in self.purses.values():
            purse.empty()
        # With a bound of no version or one, two devices may be too late for each other for ever.
        self.admission = replace(self.admission, max_staleness=64)
        if self.coordinator.process is not None:
            self.coordinator.process.core.admission = self.admission

    def _settled(self) -> bool:
        """Whether nothing more needs to happen."""
        return self.coordinator.up and all(host.settled() for host in self.agents.values())

    def _at_rest(self) -> None:
        if not self._settled():
            waiting = [name for name, host in self.agents.items() if not host.settled()]
            raise ViolationError(f"{', '.join(waiting) or 'the coordinator'} did not come to rest")
        self._audit()

    # -- what everybody starts from ----------------------------------------------------------------------------

    def first_state(self) -> RunState:
        """A run that nobody has taken part in yet."""
        learner = TokenLearner(next(iter(self.purses.values())))
        model = GlobalModel(self.layout, self._buffers, learner.weights_P, learner.read_buffers())
        return RunState(Identity(lineage=self.dice("lineage").randbytes(16), task="simulated"), model)

    def trouble(self, dice: random.Random) -> Trouble:
        """What kind of link a device has."""
        return Trouble(
            dice.choice((0.0, 0.05, 0.6)), dice.choice((0.0, 0.1)), dice.random() < 0.05, dice.choice((0.0, 0.3))
        )
