"""One seed: a small fleet, everything that can go wrong with it, and a witness; then calm, in which all must settle.

    Trial(seed).run() -> Result

The cores, recorder, journal, stores and courses are the product's own; what is simulated is time, streams and disks.
Not in it is what drives the coordinator's core under asyncio and gRPC, the classes Coordinator, Safety, Reserve and
FleetService: sim/process.Process stands for them, and other tests are theirs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from thinwire.common.codec import ValueCode, kept_of
from thinwire.common.values import Plan
from thinwire.server.admit import Admission
from thinwire.server.model import GlobalModel
from thinwire.server.policy import Buffered, Sync
from thinwire.server.rules import Rules
from thinwire.server.state import Identity, RunState
from thinwire.sim.agenda import Agenda
from thinwire.sim.agent_host import AgentHost
from thinwire.sim.clock import time_of_day
from thinwire.sim.coordinator_host import CoordinatorHost
from thinwire.sim.disk import Crash
from thinwire.sim.injector import Injector
from thinwire.sim.misfortunes import Misfortunes
from thinwire.sim.operator import Operator
from thinwire.sim.points import AIMS, needed
from thinwire.sim.tokens import TokenLearner, purses
from thinwire.sim.trouble import Trouble
from thinwire.sim.violation import ViolationError
from thinwire.sim.witness import Witness

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


class Trial:
    """One fleet, one seed."""

    def __init__(self, seed: int, *, trace: Callable[[str], None] | None = None) -> None:
        self.seed, self._trace = seed, trace
        dice = self.dice("scenario")
        self.agenda = Agenda()
        self.faults: Counter[str] = Counter()
        self.commits = self.accepted = self.steps = 0
        # Of fewer than two others the guard concludes nothing.
        guard = _guard(self.dice("guard"))
        count = 4 if dice.random() < 0.1 or guard else 2
        learners = purses(SIZE, count, A_STEP, dice)
        self.purses = {f"device-{number}": purse for number, purse in enumerate(learners)}
        self.plan = Plan(
            local_steps=dice.choice((1, 2, 3)), density=dice.choice((0.1, 0.2, 0.4)), values="fp32",
            window=dice.choice((1, 2, 4)), overlap=dice.random() < 0.8, omega=dice.choice((0.0, 0.5, 1.0)),
        )  # fmt: skip
        window = self.plan.window if self.plan.overlap else 1
        policies = Buffered(1), Buffered(1), Buffered(2, window), Buffered(3, window), Sync(0.5, 1.0)
        self.rules = Rules(
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
        max_sync_s = dice.choice((0.0, 0.005, 0.3, 0.6))
        first = TokenLearner(learners[0])
        self.layout, self._buffers = first.layout, first.buffer_layout
        self.admission = Admission(
            layout=self.layout, buffer_layout=self._buffers, max_kept=min(SIZE, 2 * kept_of(self.plan.density, SIZE)),
            max_bytes=self.plan.max_delta_bytes, max_staleness=dice.choice((0, 0, 1, 64)),
            norm_guard=guard,
        )  # fmt: skip
        aim = AIMS[seed // 2 % len(AIMS)] if seed % 2 else ""
        self._need = needed(aim)
        rate = dice.choice((0.0, 0.03, 0.1, 0.25))
        self.injector = Injector(self.dice("injector"), rate, aim, rare=bool(self._need))
        self._victim = ""
        self._power_dice = self.dice("power")
        flip_rate = dice.choice((0.0, 0.6))
        match self._need:
            case "rounds":
                self.rules = replace(self.rules, policy=Sync(0.5, 1.0))
            case "refunds" | "a lost trainer and refunds":
                self.admission = replace(self.admission, max_staleness=0)
            case "a flipped bit":
                flip_rate, self.residual_every = 1.0, 1
            case "a lost trainer":
                self.residual_every = 2
            case "little room":
                self.checkpoint_bytes, self.keep_bytes = 0, 0
        self.calm = False
        self.misfortunes = Misfortunes(self, self._need, max_sync_s, flip_rate)
        self.witness = Witness(self.layout, self.purses, self.dice("lineage").randbytes(16))
        self.operator = Operator(self, self.dice("operator"))
        self.coordinator = CoordinatorHost(self)
        self.agents = {f"device-{number}": AgentHost(self, number) for number in range(count)}

    def dice(self, what: str) -> random.Random:
        """Dice for one purpose alone, so that one more throw somewhere changes nothing elsewhere."""
        return random.Random(f"{self.seed} {what}")

    def run(self) -> Result:
        """Trouble, then calm; what became of it."""
        result = Result(self.seed)
        try:
            with time_of_day(lambda: self.agenda.now + self.misfortunes.day_s):
                self._live()
        except ViolationError as violation:
            result.violation = f"at {self.agenda.now:.3f} s: {violation}"
        except Exception as error:  # whatever it is, its seed is what one needs to find it
            result.violation = f"at {self.agenda.now:.3f} s: {type(error).__name__}: {error}"
        result.steps, result.versions, result.accepted = self.steps, self.commits, self.accepted
        result.reached, result.kills, result.faults = self.injector.reached, self.injector.kills, self.faults
        return result

    def _live(self) -> None:
        self._do(self.coordinator.start)
        for host in self.agents.values():
            self._do(host.start)
        self.misfortunes.plan(TROUBLED_S)
        self.operator.plan(TROUBLED_S, mistaken=self._need == "an old backup")
        self.misfortunes.plan_leaps(TROUBLED_S)
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
            self.die(self._victim, power=self._power_dice.random() < 0.5)
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
        back = self.agenda.now + dice.choice((0.1, 0.3, 0.5, 2.0))
        if victim == "coordinator":
            self.coordinator.crash(power=power)
            for host in self.agents.values():
                host.line.break_for(0.0, 0.0)
            self.agenda.at(back, self.coordinator.start)
        else:
            self.agents[victim].crash(power=power)
            self.agenda.at(back, self.agents[victim].start)

    def stop(self, victim: str) -> None:
        """Somebody has work to do on a machine that is down; it comes back soon."""
        host = self.coordinator if victim == "coordinator" else self.agents[victim]
        if victim == "coordinator":
            self.coordinator.crash(power=False)
            for agent in self.agents.values():
                agent.line.break_for(0.0, 0.0)
        else:
            self.agents[victim].crash(power=False)
        self.agenda.at(self.agenda.now + 0.5, host.start)

    def note(self, what: str) -> None:
        """A line of the trace."""
        if self._trace is not None:
            self._trace(f"{self.agenda.now:9.3f} s  {what}")

    def tell(self, what: str, counted: str = "") -> None:
        """A fault has come."""
        self.faults[counted or what] += 1
        self.note(what)

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
        return RunState(Identity(lineage=self.witness.lives.lineages[0], task="simulated"), model)

    def trouble(self, dice: random.Random) -> Trouble:
        """What kind of link a device has."""
        return Trouble(
            dice.choice((0.0, 0.2, 0.6)), dice.choice((0.0, 0.1)), dice.random() < 0.05, dice.choice((0.0, 0.3))
        )


def _guard(dice: random.Random) -> float:
    """How many times as long as others' longest a delta may be; 0 for no bound. With a low one some are refused."""
    return dice.choice((1.0, 2.0, 100.0)) if dice.random() < 0.1 else 0.0
