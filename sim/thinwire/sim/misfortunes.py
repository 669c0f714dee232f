"""What goes wrong in a trial besides deaths at named points: links, disks, trainers and clocks."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from thinwire.common.log import Log
from thinwire.sim.clock import Clock
from thinwire.sim.disk import SimFolder

if TYPE_CHECKING:
    from thinwire.sim.agent_host import AgentHost
    from thinwire.sim.coordinator_host import CoordinatorHost
    from thinwire.sim.trial import Trial

LAST_BYTES = 150
A_DAY_S = 86_400.0


class Misfortunes:
    """All of one trial; `need` is what it takes to come by the point that the trial aims at."""

    def __init__(self, trial: Trial, need: str, max_sync_s: float, flip_rate: float) -> None:
        self._trial, self._need = trial, need
        self._max_sync_s, self._flip_rate = max_sync_s, flip_rate
        self._disk_dice, self._flip_dice = trial.dice("disks"), trial.dice("flips")
        self._clock_dice = trial.dice("clocks")
        self._flipped: list[SimFolder] = []
        self._clocks_jump = self._clock_dice.random() < 0.4
        self.day_s = 1.8e9

    def plan(self, until: float) -> None:
        """What happens until then, and what the trial's aim needs."""
        self._trouble(until, self._trial.dice("trouble"))
        self._provoke(until, self._trial.dice("need"))

    def another_clock(self, clock: Clock) -> None:
        """A machine is started: nobody knows what its clock says."""
        clock.start(self._clock_dice.uniform(-1.0, 1.0) * A_DAY_S if self._clocks_jump else 0.0)

    def sync_s(self) -> float:
        """How long the disk takes now."""
        return self._disk_dice.random() * self._max_sync_s

    def _trouble(self, until: float, dice: random.Random) -> None:
        for _ in range(dice.choice((0, 3, 8))):
            at, host = dice.uniform(0, until), dice.choice(list(self._trial.agents.values()))
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
                self._plan_disk_trouble(dice, at, for_s, dice.choice((host.folder, self._trial.coordinator.folder)))

    def _provoke(self, until: float, dice: random.Random) -> None:
        """Do what it takes to come by the point that this trial aims at."""
        owner = self._trial.injector.aim.split(".")[0]
        for _ in range(3):
            at, host = dice.uniform(0.5, until), dice.choice(list(self._trial.agents.values()))
            victim = host.name if owner == "agent" else owner
            match self._need.removesuffix(" and refunds"):
                case "a flipped bit":
                    self._trial.agenda.at(at, partial(self._trial.die, victim, power=dice.random() < 0.1))
                case "a torn end":
                    file = "outbox" if owner == "agent" else "journal"
                    self._trial.injector.also_at(f"{owner}.{file}.append.during", dice.randrange(5, 80))
                case "a lost trainer":
                    self._at(at, "trainer killed", host.lose_trainer)
                case "a full disk":
                    folder = self._trial.coordinator.folder
                    self._at(at, "disk full at the coordinator", partial(setattr, folder, "full", True))
                    self._trial.agenda.at(at + 0.3, partial(setattr, folder, "full", False))

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
                self._trial.agenda.at(at + for_s, full(False))
            case 1:
                after = dice.choice((0, 1, 3, 9))
                self._at(at, f"disk error at the {folder.owner}", lambda: folder.fail(after))
            case 2:
                self._at(at, "slow disk", slow(2.0))
                self._trial.agenda.at(at + for_s, slow(self._max_sync_s))

    def flips(self, folder: SimFolder) -> bool:
        """Whether a bit is flipped on the disk of a machine that is down; once in its life."""
        spared = self._trial.calm or folder in self._flipped
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
        self._trial.faults[f"bit flipped at the {folder.owner}"] += 1
        self._trial.note(f"a bit of {folder.owner} {name} is flipped")
        return name

    def plan_leaps(self, until: float) -> None:
        """When clocks jump, if they do."""
        if not self._clocks_jump:
            return
        dice = self._clock_dice
        for _ in range(dice.choice((1, 3))):
            hosts: list[CoordinatorHost | AgentHost] = [self._trial.coordinator, *self._trial.agents.values()]
            host = dice.choice(hosts)
            # No monotonic clock goes back in one life, but a broken one might a little.
            seconds = dice.choice((1.0, 60.0, 3600.0, A_DAY_S, -0.5, -5.0, -30.0))
            at = dice.uniform(0.5, until)
            self._at(at, f"clock jumps {'ahead' if seconds > 0 else 'back'}", partial(self._leap, host, seconds))
            if dice.random() < 0.5:
                # As after a sleep: what was said before it is answered after it, if at all.
                line = dice.choice(list(self._trial.agents.values())).line
                self._at(at - 0.3, "link breaks, words upward arrive", partial(line.break_for, 0.4, 0.2, up_lost=False))

    def _leap(self, host: CoordinatorHost | AgentHost, seconds: float) -> None:
        host.leap(seconds)
        # The time of day may be set to anything.
        self.day_s += self._clock_dice.uniform(-30, 30) * A_DAY_S

    def _at(self, time: float, what: str, act: Callable[[], None]) -> None:
        def strike() -> None:
            self._trial.faults[what] += 1
            self._trial.note(what)
            act()

        self._trial.agenda.at(time, strike)


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
