"""The machine of one simulated device: its agent and its trainer die and come back, token by token accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thinwire.client import effects as agent_effects
from thinwire.client.store import Covered, Joined, Sealed, Settled, records
from thinwire.common import frames
from thinwire.common.errors import DiskError
from thinwire.common.values import FromCoordinator, Refusal, RefusalReason, Welcome
from thinwire.sim.clock import Clock
from thinwire.sim.deltas import unsealed
from thinwire.sim.disk import SimFolder
from thinwire.sim.lives import EPOCHS, Identity
from thinwire.sim.mortal import Agent, TokenTrainer
from thinwire.sim.papers import Copy, Papers
from thinwire.sim.scenario import Device as Description
from thinwire.sim.tokens import Count, TokenLearner
from thinwire.sim.trainer import Trainer
from thinwire.sim.trouble import TroubledLine
from thinwire.sim.violation import ViolationError
from thinwire.trainer.replica import Replica

if TYPE_CHECKING:
    from thinwire.sim.trial import Trial


class AgentHost:
    """The machine of one device: its agent and its trainer die, come back, and find on the disk what is left.

    It also keeps account, token by token, of what is nowhere but on the disk: `limbo` is what went down with a trainer
    or an agent; what a new trainer must get back of it is worked out from the records that were made, not asked for.
    After its disk was set back the device is `vague` until it is welcomed: nobody knows yet what of it still counts.
    """

    def __init__(self, trial: Trial, number: int) -> None:
        self._trial = trial
        self.name = f"device-{number}"
        self.agent: Agent | None = None
        self.witness, self.reach = trial.witness, trial.reach_of(self.name)
        self.clock = Clock(trial.agenda)
        dice = trial.dice(f"{self.name} link")
        self.line = TroubledLine(trial.agenda, trial.trouble(dice), dice, lambda: trial.coordinator.up, lambda _: None)
        self.folder = SimFolder("agent", trial.dice(f"{self.name} disk"), self.reach)
        self._starts = 0
        self._limbo_P = self._due_P = trial.nothing()
        self._papers: dict[int, Papers] = {0: Papers()}  # by life
        self._safe_life = self._life = 0  # the life that the disk is in for sure, and the one that may be on it, too
        self._down: dict[int, bytes] = {}  # deltas that it held when it went down
        self._down_life, self._down_kept = -1, 0
        self._back: dict[int, bytes] = {}
        self._letting_go: dict[int, bytes] = {}  # deltas that it has just given up, and not written that down yet
        self._vague = self._anew = False
        self._restored: Trainer | None = None
        self._flipped, self._just_flipped = "", False
        self._abandoned: tuple[int, dict[int, bytes]] | None = None
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
            self.agent = self._begin()
        except DiskError:
            self.folder.crash(power=False)
            trial.agenda.at(trial.agenda.now + 1.0, self.start)
            return
        self._comes_back(self.agent)

    def _begin(self) -> Agent:
        trial = self._trial
        trial.misfortunes.another_clock(self.clock)
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

    def leap(self, seconds: float) -> None:
        """Its clock jumps."""
        self.clock.leap(seconds)
        if self.agent is not None:
            self.agent.clock_leapt()

    def ends_itself(self) -> None:
        """The agent does not know any more what is on its disk."""
        self._trial.faults["agent ends itself"] += 1
        self._trial.die(self.name, power=False)

    def crash(self, *, power: bool) -> None:
        """The agent is gone, and its trainer with it."""
        self._goes_down()
        # One fault at a time: what a power cut takes of the watermark must not make a flipped bit look like a torn end.
        self.folder.crash(power=power and not self._just_flipped)
        if not power and self._trial.misfortunes.flips(self.folder):
            self._flipped = self._trial.misfortunes.flip(self.folder)
            self._just_flipped = bool(self._flipped)

    def _goes_down(self) -> None:
        agent = self.agent
        if agent is None:
            return
        agent._end_trainer()
        agent.quit = agent_effects.Quit(0, "gone")
        self._settle_limbo(self._letting_go, {}, agent.life)
        self._letting_go = {}
        self._down = {} if self._vague else self.held(agent)
        self._down_life, self._down_kept = agent.life, agent.core.outbox.kept_through
        for papers in self._papers.values():
            papers.adopted = papers.safe
        self._life = agent.life
        self.agent = None
        self.line.break_for(0.0, 0.0)

    def held(self, agent: Agent) -> dict[int, bytes]:
        """The deltas in its outbox, by number."""
        return {delta.seq: delta.header.sha256 for delta in agent.core.outbox.pending()}

    def _set_aside(self, agent: Agent) -> bool:
        # It may have died while it did so, and then finds nothing to complain of.
        return agent.life == 0 and any(name.startswith("damaged") for name in self.folder.names())

    def _comes_back(self, agent: Agent) -> None:
        self._just_flipped = False
        if self._down_life < 0:
            return
        if self._flipped and (agent.store.restored.problem or self._set_aside(agent)):
            # What was set aside is abandoned, and given up when the device is told its new epoch.
            self._trial.faults["damage found by an agent"] += 1
            self._abandoned = None if self._vague else (self._down_life, dict(self._down))
            self._flipped, self._vague = "", False
            self._safe_life = self._life = 0
            self._papers[0] = Papers()
            return
        if agent.life not in (self._safe_life, self._life):
            raise ViolationError(f"{self.name} was in life {self._safe_life} and came back in {agent.life}")
        self._back = self.held(agent)
        if agent.life != self._down_life:
            # What it had begun is not there, and what was before is.
            self._settle_limbo(self._down, {}, self._down_life)
            self._vague, self._anew = agent.life > 0, False
        elif not self._vague:
            self._comes_back_to(agent)
        papers, outbox = self._papers[agent.life], agent.core.outbox
        papers.changes = [
            change for change in papers.changes
            if (change.seq < outbox.next_seq if isinstance(change, records.Sealed) else change.refund <= outbox.refunds)
        ]  # fmt: skip
        self._safe_life = self._life = agent.life
        self._begun_for_sure()

    def _comes_back_to(self, agent: Agent) -> None:
        last = agent.core.outbox.next_seq - 1
        if last < self._down_kept:
            raise ViolationError(f"{self.name}: seal {self._down_kept} was safe, but {last} is the last")
        self._settle_limbo(self._down, self._back, self._down_life)

    def _settle_limbo(self, down: dict[int, bytes], back: dict[int, bytes], life: int) -> None:
        for seq in down.keys() ^ back.keys():
            sha256 = down[seq] if seq in down else back[seq]
            if self.witness.settled((self.name, life, seq), sha256):
                continue
            # A seal that was not safe is undone; so is an outcome, which will be heard of again.
            if seq in down:
                self._limbo_P = self._limbo_P + self.witness.deltas.sealed[sha256]
            else:
                self._takes_back(self.witness.deltas.sealed[sha256])

    def _who(self, seq: int) -> Identity:
        assert self.agent is not None
        return self.name, self.agent.life, seq

    # -- older disks -------------------------------------------------------------------------------------------

    def copied(self) -> Copy | None:
        """A copy of its disk, and of what is known of that."""
        if self.agent is None or self._vague or self._just_flipped:
            return None
        papers = {life: papers.copy() for life, papers in self._papers.items()}
        kept = self.agent.core.outbox.kept_through
        return Copy(self.folder.backup(), papers, self._safe_life, self.agent.life, kept)

    def put_back(self, copy: Copy) -> None:
        """Another disk is in it, or its own as it once was; the agent must be down."""
        self.folder.restore(copy.files)
        self._papers = {life: papers.copy() for life, papers in copy.papers.items()}
        for papers in self._papers.values():
            papers.adopted = papers.safe
        self._safe_life, self._life = copy.safe_life, copy.life
        self._down, self._down_life, self._down_kept = {}, copy.life, copy.kept
        self._flipped, self._just_flipped, self._abandoned, self._vague = "", False, None, True
        self._limbo_P = self._due_P = self._trial.nothing()
        self._restored, self._anew = None, False
        self.witness.exchanged(self.name, {copy.safe_life, copy.life})

    def lets_go(self, before: dict[int, bytes]) -> None:
        """The agent has taken in a word; before, it held these."""
        assert self.agent is not None
        after = self.held(self.agent)
        self._letting_go = {
            seq: sha256 for seq, sha256 in before.items()
            if seq not in after and not self.witness.settled(self._who(seq), sha256)
        }  # fmt: skip

    def hears(self, word: FromCoordinator) -> None:
        """The agent has taken in a word, and is in the life that it was in."""
        agent = self.agent
        if isinstance(word, Refusal) and word.reason is RefusalReason.STATE_REGRESSED:
            self._trial.operator.told_of_doubts()
        if agent is None or not (isinstance(word, Welcome) and agent.core.live):
            return
        if word.leader_epoch < agent.core.custody.leader_epoch:
            raise ViolationError(f"{self.name} follows a coordinator that was led by another since")
        if self._vague:
            self._vague = False
            for seq, sha256 in self._back.items():
                if not self.witness.settled(self._who(seq), sha256):
                    self.witness.accounts[self.name].claim(self.witness.deltas.sealed[sha256])

    # -- what the witness must know ----------------------------------------------------------------------------

    @property
    def papers(self) -> Papers:
        """What is known of its disk in this life."""
        return self._papers[self.agent.life if self.agent else self._down_life]

    def saves(self, frame: frames.SaveResidual, replica: Replica) -> None:
        """The trainer is about to write its residual down."""
        self.papers.files[frame.generation] = (unsealed(replica), replica.next_seq - 1, frame.refunds)

    def keeps(self, record: records.Record, body: bytes) -> None:
        """The agent is about to write this down."""
        agent, papers = self.agent, self.papers
        assert agent is not None
        match record:
            case Joined():
                self._life = agent.life
            case Sealed():
                self.witness.deltas.seal(record.sha256, body)
                papers.seals[record.seq] = record.sha256
                papers.changes.append(record)
            case Settled() if record.refund:
                papers.changes.append(record)
                self._letting_go.pop(record.seq, None)
                if agent.core.seat.ready is None:
                    # Nobody is there to take it back: what comes next must.
                    self._limbo_P = self._limbo_P + self.witness.deltas.sealed[papers.seals[record.seq]]
            case Covered() if papers.adopted or record.seals >= agent.core.outbox.next_seq - 1:
                # Otherwise it is of no use: without an earlier file, no note was taken of what was sealed since.
                papers.adopted = record.generation
            case _:
                pass

    def kept(self) -> None:
        """All that was written down is safe."""
        self.papers.safe, self._safe_life = self.papers.adopted, self._life
        self._begun_for_sure()

    def _begun_for_sure(self) -> None:
        if self._anew:
            self._anew = False
            self.witness.settle_doubt(self.name)

    def trainer_ends(self) -> None:
        """What the trainer held is nowhere now but on the disk, as far as it is there."""
        agent = self.agent
        if agent is None or agent.trainer is None or agent.trainer is not self._restored:
            return  # one that was not given back everything has learned nothing yet
        assert isinstance(agent.trainer, TokenTrainer)
        replica = agent.trainer.last_words()
        self._limbo_P = self._limbo_P + unsealed(replica)
        for seq in replica.pending.keys() - self.held(agent).keys():
            self._letting_go.pop(seq, None)
            if not self.witness.settled(self._who(seq), self.papers.seals.get(seq)):
                self._limbo_P = self._limbo_P + self.witness.deltas.pending(replica, seq)

    def recovers(self, told: list[tuple[frames.ToTrainer, bytes]], errors: int) -> None:
        """A new trainer is told what there is of the residual; the rest is forgotten. `errors` of the disk came."""
        restore = next((frame for frame, _ in told if isinstance(frame, frames.Restore)), None)
        generation = int(restore.file.split("-")[1]) if restore is not None else 0
        papers = self.papers
        if errors or self._flipped == f"residual-{papers.safe}":
            papers.unreadable.add(papers.safe)
        if generation < papers.safe and papers.safe not in papers.unreadable:
            raise ViolationError(f"{self.name}: residual {papers.safe} is safe, but {generation} is given back")
        due_P = self._due(generation)
        self._takes_back(due_P)
        self.witness.accounts[self.name].forget(self._limbo_P)
        self._limbo_P, self._due_P = self._trial.nothing(), due_P
        assert self.agent is not None
        self._restored = self.agent.trainer

    def _takes_back(self, due_P: Count) -> None:
        found_P = due_P & self._limbo_P
        self._limbo_P = self._limbo_P - found_P
        if (due_P != found_P).any():
            self.witness.accounts[self.name].claim(due_P - found_P)

    def restores_nothing(self) -> None:
        """The trainer could not read what it was to be given back."""
        self._limbo_P, self._restored = self._limbo_P + self._due_P, None

    def _due(self, generation: int) -> Count:
        papers = self.papers
        # A file that cannot be read, with none before it, takes along what it had been given back.
        lost = max((papers.files[file][2] for file in papers.unreadable & papers.files.keys()), default=0)
        saved_P, seals, refunds = papers.files.get(generation, (self._trial.nothing(), 0, lost))
        due_P = saved_P.copy()
        for change in papers.changes:
            sha256 = papers.seals[change.seq]
            if isinstance(change, Sealed):
                if change.seq > seals:
                    due_P[self.witness.deltas.chosen[sha256]] = 0
            elif change.refund > refunds:
                due_P += self.witness.deltas.sealed[sha256]
        return due_P

    def begins_anew(self, before: int) -> None:
        """The agent was given another life; nothing of the old one counts any more."""
        agent = self.agent
        assert agent is not None
        self._papers[agent.life] = Papers()
        self.witness.lives.begin(self.name, agent.life)
        self._vague, self._anew, self._letting_go = False, True, {}
        if before:
            if before // EPOCHS == agent.life // EPOCHS and not self._trial.operator.touched(self.name, before):
                raise ViolationError(f"{self.name} was made to begin anew after life {before}")
            self._limbo_P = self._due_P = self._trial.nothing()
            self._restored = None
            self.witness.cast_doubt(self.name)
        elif self._abandoned is not None:
            (life, held), self._abandoned = self._abandoned, None
            self._settle_limbo(held, {}, life)
            self.witness.accounts[self.name].forget(self._limbo_P)
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
        agent = self.agent
        if agent is None or not agent.core.live or not self.witness.accounted(self.name):
            return False
        if not self.witness.accounts[self.name].void_P.any():
            return True
        trainer = agent.trainer
        if trainer is None or trainer is not self._restored:
            return False
        return self.witness.nothing_left(self.name, agent.life, trainer.course.replica, self.held(agent))

    def audit(self) -> None:
        """Hold the device's books against what is there."""
        agent = self.agent
        assert agent is not None
        assert agent.trainer is not None
        # One that is not welcome, or not yet, may know of what is void.
        accepted = {delta.seq for delta in agent.core.outbox.pending() if delta.accepted and agent.core.live}
        synced = agent.core.seat.base is not None
        self.witness.device(
            self.name, agent.life, agent.trainer.course.replica, self.held(agent), accepted, synced=synced
        )
