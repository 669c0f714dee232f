"""The machine of one simulated device: its agent and its trainer die and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thinwire.client import effects as agent_effects
from thinwire.common.errors import DiskError
from thinwire.sim.clock import Clock
from thinwire.sim.disk import SimFolder
from thinwire.sim.estate import Estate
from thinwire.sim.mortal import Agent, TokenTrainer
from thinwire.sim.papers import Copy
from thinwire.sim.scenario import Device as Description
from thinwire.sim.tokens import TokenLearner
from thinwire.sim.trouble import TroubledLine

if TYPE_CHECKING:
    from thinwire.sim.trial import Trial


class AgentHost:
    """The machine of one device: its agent and its trainer die, come back, and find on the disk what is left."""

    def __init__(self, trial: Trial, number: int) -> None:
        self._trial = trial
        self.name = f"device-{number}"
        self.agent: Agent | None = None
        self.witness, self.reach = trial.witness, trial.reach_of(self.name)
        self.clock = Clock(trial.agenda)
        dice = trial.dice(f"{self.name} link")
        self.line = TroubledLine(trial.agenda, trial.trouble(dice), dice, lambda: trial.coordinator.up, lambda _: None)
        self.folder = SimFolder("agent", trial.dice(f"{self.name} disk"), self.reach)
        self.estate = Estate(trial, self.name)
        self._starts = 0
        self._just_flipped = False  # no agent has read the disk since a bit was flipped
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
        self._just_flipped = False
        self.estate.comes_back(self.agent)

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
            self.estate.flipped = self._trial.misfortunes.flip(self.folder)
            self._just_flipped = bool(self.estate.flipped)

    def _goes_down(self) -> None:
        agent = self.agent
        if agent is None:
            return
        agent._end_trainer()
        agent.quit = agent_effects.Quit(0, "gone")
        self.estate.goes_down(agent)
        self.agent = None
        self.line.break_for(0.0, 0.0)

    # -- older disks -------------------------------------------------------------------------------------------

    def copied(self) -> Copy | None:
        """A copy of its disk, and of what is known of that; None while that cannot be said."""
        if self.agent is None or self.estate.vague or self._just_flipped:
            return None
        return self.estate.copied(self.agent, self.folder.backup())

    def put_back(self, copy: Copy) -> None:
        """Another disk is in it, or its own as it once was; the agent must be down."""
        self.folder.restore(copy.files)
        self._just_flipped = False
        self.estate.put_back(copy)

    # -- how it is ---------------------------------------------------------------------------------------------

    def steady(self) -> bool:
        """Whether the device's books are in one place: no word is on its way between agent and trainer."""
        agent = self.agent
        if agent is None or agent.quit is not None or agent.trainer is None or agent.core.seat.ready is None:
            return False
        return agent.trainer.course.replica.based and not agent.trainer.inbox

    def settled(self) -> bool:
        """Whether the device is back in the training, and all that was born is settled."""
        return self.agent is not None and self.agent.core.live and self.estate.settled(self.agent)

    def audit(self) -> None:
        """Hold the device's books against what is there."""
        agent = self.agent
        assert agent is not None
        assert agent.trainer is not None
        # One that is not welcome, or not yet, may know of what is void.
        accepted = {delta.seq for delta in agent.core.outbox.pending() if delta.accepted and agent.core.live}
        synced = agent.core.seat.base is not None
        self.witness.device(self.name, agent.life, agent.trainer.course.replica, agent.held, accepted, synced=synced)
