"""One seed: a small fleet, everything that can go wrong with it, and a witness; then calm, in which all must settle.

    Trial(seed).run() -> Result

The coordinator, the agents and the trainers are the product's own; what is simulated is time, streams and disks.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from thinwire.common.codec import ValueCode, kept_of
from thinwire.common.log import Log
from thinwire.common.values import Plan
from thinwire.server import core
from thinwire.server.admit import Admission
from thinwire.server.model import GlobalModel
from thinwire.server.policy import Buffered, Sync
from thinwire.server.state import Identity, RunState
from thinwire.sim.agenda import Agenda
from thinwire.sim.agent_host import AgentHost
from thinwire.sim.book import ViolationError
from thinwire.sim.clock import Clock, time_of_day
from thinwire.sim.coordinator_host import CoordinatorHost
from thinwire.sim.disk import Crash, SimFolder
from thinwire.sim.injector import Injector
from thinwire.sim.operator import Operator
from thinwire.sim.points import AIMS, needed
from thinwire.sim.stream import Trouble
from thinwire.sim.tokens import Count, TokenLearner, purses
from thinwire.sim.witness import Witness

SIZE = 32
TROUBLED_S = 6.0
CALM_S = 300.0
A_STEP = 3
LAST_BYTES = 150
MOST_STEPS = 20_000
A_DAY_S = 86_400.0


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
        count = 4 if dice.random() < 0.1 else 2
        learners = purses(SIZE, count, A_STEP, dice)
        self.purses = {f"device-{number}": purse for number, purse in enumerate(learners)}
        self.plan = Plan(
            local_steps=dice.choice((1, 2, 3)), density=dice.choice((0.1, 0.2, 0.4)), values="fp32",
            window=dice.choice((1, 2, 4)), overlap=dice.random() < 0.8, omega=dice.choice((0.0, 0.5, 1.0)),
        )  # fmt: skip
        window = self.plan.window if self.plan.overlap else 1
        policies = Buffered(1), Buffered(1), Buffered(2, window), Buffered(3, window), Sync(0.5, 1.0)
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
            max_bytes=self.plan.max_delta_bytes, max_staleness=dice.choice((0, 0, 1, 64)),
        )  # fmt: skip
        aim = AIMS[seed // 2 % len(AIMS)] if seed % 2 else ""
        self._need = needed(aim)
        rate = dice.choice((0.0, 0.03, 0.1, 0.25))
        self.injector = Injector(self.dice("injector"), rate, aim, rare=bool(self._need))
        self._disk_dice = self.dice("disks")
        self._victim = ""
        self._power_dice, self._flip_dice = self.dice("power"), self.dice("flips")
        self._flip_rate = dice.choice((0.0, 0.6))
        match self._need:
            case "rounds":
                self.rules = replace(self.rules, policy=Sync(0.5, 1.0))
            case "refunds" | "a lost trainer and refunds":
                self.admission = replace(self.admission, max_staleness=0)
            case "a flipped bit":
                self._flip_rate, self.residual_every = 1.0, 1
            case "a lost trainer":
                self.residual_every = 2
            case "little room":
                self.checkpoint_bytes, self.keep_bytes = 0, 0
        self._flipped: list[SimFolder] = []
        self.calm = False
        self._clock_dice = self.dice("clocks")
        self._clocks_jump = self._clock_dice.random() < 0.4
        self._day_s = 1.8e9
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
            with time_of_day(lambda: self.agenda.now + self._day_s):
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
        self._plan_trouble(self.dice("trouble"))
        self._provoke(self.dice("need"))
        self.operator.plan(TROUBLED_S, mistaken=self._need == "an old backup")
        if self._clocks_jump:
            self._plan_leaps(self._clock_dice)
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

    def another_clock(self, clock: Clock) -> None:
        """A machine is started: nobody knows what its clock says."""
        if self._clocks_jump:
            clock.leap(self._clock_dice.uniform(-1.0, 1.0) * A_DAY_S)

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
        for _ in range(dice.choice((0, 3, 8))):
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
            elif kind in (3, 5):
                self._at(at, "trainer killed", host.lose_trainer)
            elif kind == 4:
                self._at(at, "device asleep", partial(host.nap, at + for_s))
            else:
                self._plan_disk_trouble(dice, at, for_s, dice.choice((host.folder, self.coordinator.folder)))

    def _provoke(self, dice: random.Random) -> None:
        """Do what it takes to come by the point that this trial aims at."""
        owner = self.injector.aim.split(".")[0]
        for _ in range(3):
            at, host = dice.uniform(0.5, TROUBLED_S), dice.choice(list(self.agents.values()))
            victim = host.name if owner == "agent" else owner
            match self._need.removesuffix(" and refunds"):
                case "a flipped bit":
                    self.agenda.at(at, partial(self.die, victim, power=dice.random() < 0.1))
                case "a torn end":
                    file = "outbox" if owner == "agent" else "journal"
                    self.injector.also_at(f"{owner}.{file}.append.during", dice.randrange(5, 80))
                case "a lost trainer":
                    self._at(at, "trainer killed", host.lose_trainer)
                case "a full disk":
                    folder = self.coordinator.folder
                    self._at(at, "disk full at the coordinator", partial(setattr, folder, "full", True))
                    self.agenda.at(at + 0.3, partial(setattr, folder, "full", False))

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
        if not files or not _marked(folder):
            return ""
        # What is to be set aside must be broken, not only its residual.
        broken = [name for name in files if name.startswith("outbox-")] if self._need == "a flipped bit" else []
        name = self._flip_dice.choice(broken or files)
        self._flipped.append(folder)
        # The end of a file is where damage is most easily taken for something else.
        end = 8 * folder.size(name)
        start = max(0, end - 8 * LAST_BYTES) if self._flip_dice.random() < 0.5 else 0
        folder.flip(name, self._flip_dice.randrange(start, end))
        self.faults[f"bit flipped at the {folder.owner}"] += 1
        self.note(f"a bit of {folder.owner} {name} is flipped")
        return name

    def _plan_leaps(self, dice: random.Random) -> None:
        for _ in range(dice.choice((1, 3))):
            hosts: list[CoordinatorHost | AgentHost] = [self.coordinator, *self.agents.values()]
            host = dice.choice(hosts)
            # No monotonic clock goes back in one life, but a broken one might a little.
            seconds = dice.choice((1.0, 60.0, 3600.0, A_DAY_S, -0.5, -5.0, -30.0))
            at = dice.uniform(0.5, TROUBLED_S)
            self._at(at, f"clock jumps {'ahead' if seconds > 0 else 'back'}", partial(self._leap, host, seconds))
            if dice.random() < 0.5:
                # As after a sleep: what was said before it is answered after it, if at all.
                line = dice.choice(list(self.agents.values())).line
                self._at(at - 0.3, "link breaks, words upward arrive", partial(line.break_for, 0.4, 0.2, up_lost=False))

    def _leap(self, host: CoordinatorHost | AgentHost, seconds: float) -> None:
        host.leap(seconds)
        # The time of day may be set to anything.
        self._day_s += self._clock_dice.uniform(-30, 30) * A_DAY_S

    def tell(self, what: str, counted: str = "") -> None:
        """A fault has come."""
        self.faults[counted or what] += 1
        self.note(what)

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
        return RunState(Identity(lineage=self.witness.lineages[0], task="simulated"), model)

    def trouble(self, dice: random.Random) -> Trouble:
        """What kind of link a device has."""
        return Trouble(
            dice.choice((0.0, 0.2, 0.6)), dice.choice((0.0, 0.1)), dice.random() < 0.05, dice.choice((0.0, 0.3))
        )


def _marked(folder: SimFolder) -> bool:
    """Whether the watermark is up to date: without it, damage at the end of a log cannot be told from a torn end."""
    copy = SimFolder("copy", random.Random(0))
    for prefix in ("journal", "outbox"):
        copy.restore(folder.backup())
        mark = f"{prefix}.synced"
        written = copy.read(mark, 0, 12) if mark in copy.names() else b""
        # A power cut may have torn the mark itself, and then it says nothing.
        whole = len(written) == 12 and zlib.crc32(written[:8]) == int.from_bytes(written[8:], "little")
        known = int.from_bytes(written[:8], "little") if whole else 0
        if known < Log(copy, prefix).next - 1:
            return False
    return True
