"""What a simulated device leaves when it dies, and what must be found of it when it comes back, token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thinwire.client.store import Covered, Joined, Sealed, Settled, records
from thinwire.common import frames
from thinwire.common.values import FromCoordinator, Refusal, RefusalReason, Welcome
from thinwire.sim.deltas import unsealed
from thinwire.sim.limbo import Limbo
from thinwire.sim.lives import EPOCHS
from thinwire.sim.mortal import Agent, TokenTrainer
from thinwire.sim.papers import Copy, Drawer, Papers
from thinwire.sim.trainer import Trainer
from thinwire.sim.violation import demand
from thinwire.trainer.replica import Replica

if TYPE_CHECKING:
    from thinwire.sim.trial import Trial


class Estate:
    """One device's: worked out from the records that its agents made, not asked for.

    After its disk was set back the device is `vague` until it is welcomed: nobody knows yet what of it still counts.
    `flipped` is the file with a flipped bit that no agent has met yet.
    """

    def __init__(self, trial: Trial, device: str) -> None:
        self._trial, self._device = trial, device
        self._witness, self._account = trial.witness, trial.witness.accounts[device]
        self._drawer, self._limbo = Drawer(), Limbo(device, trial.witness)
        self._down: dict[int, bytes] = {}  # deltas that it held when it went down
        self._down_life, self._down_kept = -1, 0
        self._back: dict[int, bytes] = {}
        self._abandoned: tuple[int, dict[int, bytes]] | None = None
        self._anew = False  # it has begun anew, which is not safe yet
        self._restored: Trainer | None = None  # the trainer that was given back all there was
        self.vague, self.flipped = False, ""

    # -- an agent dies and comes back --------------------------------------------------------------------------

    def goes_down(self, agent: Agent) -> None:
        """The agent is gone, after its trainer."""
        self._limbo.take_agent(agent.life)
        self._down = {} if self.vague else agent.held
        self._down_life, self._down_kept = agent.life, agent.core.outbox.kept_through
        self._drawer.go_down(agent.life)

    def comes_back(self, agent: Agent) -> None:
        """Another agent has read the disk; raise ViolationError when it is not what it must be."""
        if self._down_life < 0:
            return
        if self.flipped and _noticed(agent):
            # What was set aside is abandoned, and given up when the device is told its new epoch.
            self._trial.faults["damage found by an agent"] += 1
            self._abandoned = None if self.vague else (self._down_life, dict(self._down))
            self.flipped, self.vague = "", False
            self._drawer.empty()
            return
        drawer, outbox = self._drawer, agent.core.outbox
        came = f"{self._device} was in life {drawer.safe_life} and came back in {agent.life}"
        demand(agent.life in drawer.lives, came)
        self._back = agent.held
        if agent.life != self._down_life:
            # What it had begun is not there, and what was before is.
            self._limbo.settle(self._down, {}, self._down_life)
            self.vague, self._anew = agent.life > 0, False
        elif not self.vague:
            last, kept = outbox.next_seq - 1, self._down_kept
            demand(last >= kept, f"{self._device}: seal {kept} was safe, but {last} is the last")
            self._limbo.settle(self._down, self._back, self._down_life)
        drawer.papers[agent.life].cut_off(outbox.next_seq, outbox.refunds)
        drawer.come_back(agent.life)
        self._begun_for_sure()

    def _begun_for_sure(self) -> None:
        if self._anew:
            self._anew = False
            self._witness.settle_doubt(self._device)

    # -- older disks -------------------------------------------------------------------------------------------

    def copied(self, agent: Agent, files: dict[str, bytes]) -> Copy:
        """A copy of its disk, and of what is known of that."""
        return Copy(files, self._drawer.copy(agent.life), agent.core.outbox.kept_through)

    def put_back(self, copy: Copy) -> None:
        """Another disk is in it, or its own as it once was."""
        self._drawer = copy.drawer.copy(copy.drawer.life)
        self._drawer.go_down(copy.drawer.life)
        self._down, self._down_life, self._down_kept = {}, copy.drawer.life, copy.kept
        self.flipped, self._abandoned, self.vague = "", None, True
        self._limbo.empty()
        self._restored, self._anew = None, False
        self._witness.exchanged(self._device, copy.drawer.lives)

    # -- what the agent hears ----------------------------------------------------------------------------------

    def hears(self, agent: Agent, before: dict[int, bytes], word: FromCoordinator) -> None:
        """The agent has taken in a word, and is in the life that it was in; before, it held these deltas."""
        self._limbo.let_go(agent.life, before, agent.held)
        if isinstance(word, Refusal) and word.reason is RefusalReason.STATE_REGRESSED:
            self._trial.operator.told_of_doubts()
        if not (isinstance(word, Welcome) and agent.core.live):
            return
        follows = word.leader_epoch >= agent.core.custody.leader_epoch
        demand(follows, f"{self._device} follows a coordinator that was led by another since")
        if self.vague:
            self.vague = False
            for seq, sha256 in self._back.items():
                if not self._witness.settled((self._device, agent.life, seq), sha256):
                    self._account.claim(self._witness.deltas.sealed[sha256])

    def begins_anew(self, agent: Agent, before: int) -> None:
        """The agent was given another life; nothing of the old one counts any more."""
        self._drawer.papers[agent.life] = Papers()
        self._witness.lives.begin(self._device, agent.life)
        self.vague, self._anew = False, True
        self._limbo.begin_anew()
        if before:
            other = before // EPOCHS != agent.life // EPOCHS
            touched = other or self._trial.operator.touched(self._device, before)
            demand(touched, f"{self._device} was made to begin anew after life {before}")
            self._limbo.empty()
            self._restored = None
            self._witness.cast_doubt(self._device)
        elif self._abandoned is not None:
            (life, held), self._abandoned = self._abandoned, None
            self._limbo.settle(held, {}, life)
            self._limbo.forget()

    # -- what the agent writes down ----------------------------------------------------------------------------

    def keeps(self, agent: Agent, record: records.Record, body: bytes) -> None:
        """The agent is about to write this down."""
        papers = self._papers(agent)
        match record:
            case Joined():
                self._drawer.life = agent.life
            case Sealed():
                self._witness.deltas.seal(record.sha256, body)
                papers.seals[record.seq] = record.sha256
                papers.changes.append(record)
            case Settled() if record.refund:
                papers.changes.append(record)
                self._limbo.written_down(record.seq)
                if agent.core.seat.ready is None:
                    # Nobody is there to take it back: what comes next must.
                    self._limbo.add(self._witness.deltas.sealed[papers.seals[record.seq]])
            case Covered() if papers.adopted or record.seals >= agent.core.outbox.next_seq - 1:
                # Otherwise it is of no use: without an earlier file, no note was taken of what was sealed since.
                papers.adopted = record.generation
            case _:
                pass

    def kept(self, agent: Agent) -> None:
        """All that was written down is safe."""
        self._drawer.keep(agent.life)
        self._begun_for_sure()

    def _papers(self, agent: Agent) -> Papers:
        return self._drawer.papers[agent.life]

    # -- the trainer -------------------------------------------------------------------------------------------

    def saves(self, agent: Agent, frame: frames.SaveResidual, replica: Replica) -> None:
        """The trainer is about to write its residual down."""
        saved = unsealed(replica), replica.next_seq - 1, frame.refunds
        self._papers(agent).files[frame.generation] = saved

    def trainer_ends(self, agent: Agent) -> None:
        """What the trainer held is nowhere now but on the disk, as far as it is there."""
        trainer = agent.trainer
        if trainer is None or trainer is not self._restored:
            return  # one that was not given back everything has learned nothing yet
        assert isinstance(trainer, TokenTrainer)
        self._limbo.take_trainer(trainer.last_words(), agent.life, agent.held, self._papers(agent).seals)

    def recovers(self, agent: Agent, told: list[tuple[frames.ToTrainer, bytes]], errors: int) -> None:
        """A new trainer is told what there is of the residual; the rest is forgotten. `errors` of the disk came."""
        restore = next((frame for frame, _ in told if isinstance(frame, frames.Restore)), None)
        generation = int(restore.file.split("-")[1]) if restore is not None else 0
        papers = self._papers(agent)
        if errors or self.flipped == f"residual-{papers.safe}":
            papers.unreadable.add(papers.safe)
        there = generation >= papers.safe or papers.safe in papers.unreadable
        demand(there, f"{self._device}: residual {papers.safe} is safe, but {generation} is given back")
        self._limbo.give_back(papers.due(generation, self._witness.deltas))
        self._restored = agent.trainer

    def restores_nothing(self) -> None:
        """The trainer could not read what it was to be given back."""
        self._limbo.give_nothing_back()
        self._restored = None

    def settled(self, agent: Agent) -> bool:
        """Whether nothing of what the device still holds could change the model."""
        if not self._witness.accounted(self._device):
            return False
        if not self._account.void_P.any():
            return True
        trainer = agent.trainer
        if trainer is None or trainer is not self._restored:
            return False
        return self._witness.nothing_left(self._device, agent.life, trainer.course.replica, agent.held)


def _noticed(agent: Agent) -> bool:
    """Whether an agent has met a flipped bit; it may have died while it set it aside, and then finds nothing."""
    if agent.store.restored.problem:
        return True
    return agent.life == 0 and any(name.startswith("damaged") for name in agent.folder.names())
