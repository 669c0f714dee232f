"""The machine of one simulated device: its agent and its trainer die and come back, token by token accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thinwire.client import effects as agent_effects
from thinwire.client.store import Covered, Joined, Sealed, Settled, records
from thinwire.common import frames
from thinwire.common.errors import DiskError
from thinwire.sim.disk import SimFolder
from thinwire.sim.mortal import Agent, TokenTrainer
from thinwire.sim.scenario import Device as Description
from thinwire.sim.stream import TroubledLine
from thinwire.sim.tokens import Count, TokenLearner
from thinwire.sim.trainer import Trainer
from thinwire.sim.witness import ViolationError, unsealed
from thinwire.trainer.replica import Replica

if TYPE_CHECKING:
    from thinwire.sim.trial import Trial


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

    def _set_aside(self, agent: Agent) -> bool:
        # It may have died while it did so, and then finds nothing to complain of.
        return agent.epoch == 0 and any(name.startswith("damaged") for name in self.folder.names())

    def _comes_back(self, agent: Agent) -> None:
        self._just_flipped = False
        if self._down_epoch < 0:
            return
        outbox = agent.core.outbox
        if self._flipped and (agent.store.restored.problem or self._set_aside(agent)):
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
        if generation < self._safe and not self._flipped and not self.folder.errors:
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
