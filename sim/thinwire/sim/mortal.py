"""An agent and a trainer in virtual time whose records and residuals are known to whoever keeps account of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thinwire.client import effects as agent_effects
from thinwire.client import events as agent_events
from thinwire.common import frames, values
from thinwire.common.errors import DiskError, SyncError
from thinwire.common.values import FromCoordinator
from thinwire.sim.call import Call
from thinwire.sim.device import Device
from thinwire.sim.tokens import Purse, TokenLearner
from thinwire.sim.trainer import Trainer
from thinwire.trainer.replica import Replica

if TYPE_CHECKING:
    from thinwire.sim.agent_host import AgentHost


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
            assert self.host.agent is not None
            self.host.estate.saves(self.host.agent, frame, self.course.replica)
        try:
            super()._obey(frame, body)
        except DiskError:
            self.host.estate.restores_nothing()
            self._agenda.soon(self.host.lose_trainer)


class Agent(Device):
    """A device whose words, records and seals the witness hears of."""

    kind_of_trainer = TokenTrainer
    host: AgentHost

    @property
    def life(self) -> int:
        """The lineage and the store epoch that it is in."""
        return self.host.witness.lives.life(self.core.custody.lineage, self.core.custody.epoch)

    @property
    def held(self) -> dict[int, bytes]:
        """The deltas in its outbox, by number: SHA-256."""
        return {delta.seq: delta.header.sha256 for delta in self.core.outbox.pending()}

    def clock_leapt(self) -> None:
        """Look at the deadline again."""
        self._alarm.set()

    def _deadline(self) -> float | None:
        return self.host.clock.on_agenda(super()._deadline())

    def heard(self, call: Call, word: FromCoordinator) -> None:
        """See Device."""
        self.host.reach(f"agent.hear.{type(word).__name__}")
        self.host.witness.heard(self.name, self.life, word)
        super().heard(call, word)

    def _handle(self, event: agent_events.Event) -> None:
        if self.quit is not None:
            return
        before, held = self.life, self.held if isinstance(event, agent_events.Received) else {}
        decided = self.core.handle(event, self.host.clock.now(self.core.deadline))
        if self.life != before:
            self.host.estate.begins_anew(self, before)
        elif isinstance(event, agent_events.Received):
            self.host.estate.hears(self, held, event.message)
        for effect in decided:
            # One of them may have been the end of this process.
            if self.quit is None:
                self._perform(effect)
        self._alarm.set()

    def _persist(self, effect: agent_effects.Persist | agent_effects.Flush) -> None:
        if isinstance(effect, agent_effects.Persist):
            self.host.estate.keeps(self, effect.record, effect.body)
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
                self.host.estate.kept(self)
                self._handle(agent_events.Persisted())

    def _recover(self) -> None:
        told: list[tuple[frames.ToTrainer, bytes]] = []
        errors = self.host.folder.errors
        try:
            recovery = self.store.recover()
            for frame, body in recovery.told:
                self._tell(frame, body)
                told.append((frame, body))
        except DiskError:
            self.host.ends_itself()
            return
        self.host.estate.recovers(self, told, self.host.folder.errors - errors)
        self._handle(agent_events.Recovered(recovery.forgotten_cuts, recovery.problem))

    def _say(self, effect: agent_effects.Send) -> None:
        self.host.reach(f"agent.say.{type(effect.message).__name__}")
        word = effect.message
        if isinstance(word, values.DeltaChunk) and word.header is not None:
            self.host.witness.lives.said(self.name, self.life, word.seq, word.header.sha256)
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
        self.host.estate.trainer_ends(self)
        super()._end_trainer()
