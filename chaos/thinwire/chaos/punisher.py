"""Who is struck next, when and for how long: a schedule of faults from a seed.

Faults come at random, `mtbf_s` apart on average, as a Poisson process has them. One that is due waits until the fleet
has got on since the one before - a kill while nothing was under way proves nothing - and is struck all the same, but
not counted, when that has taken `PATIENCE_S`. (The rule is that of etcd's robustness tests, which void a run whose
load was too low.)

Pure: the time and the load come in, orders come out.
"""

from __future__ import annotations

import enum
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE_S = 20.0
COORDINATOR = "coordinator"


class Kind(enum.StrEnum):
    """What is done to the victim. What is stopped or cut is let go after a while, what was killed is started again."""

    KILL = "kill"  # SIGKILL of one process
    POWER = "power"  # SIGKILL of a process and its children at once, as when the plug is pulled
    TRAINER = "trainer"  # SIGKILL of an agent's trainer alone; the agent starts another by itself
    STOP = "stop"  # SIGSTOP
    CUT = "cut"  # the device's line carries nothing


KILLS = (Kind.KILL, Kind.POWER, Kind.TRAINER)


@dataclass(frozen=True, slots=True)
class Fault:
    """One blow; `pause_s` until its victim is helped up."""

    kind: Kind
    victim: str
    pause_s: float


# How often each fault comes, and for how long its victim is down, seconds.
_COORDINATOR_FAULTS = ((Kind.KILL, 20, (0.1, 1.5)), (Kind.POWER, 10, (0.1, 1.5)), (Kind.STOP, 5, (0.5, 4.0)))
_DEVICE_FAULTS = (
    (Kind.KILL, 20, (0.1, 2.0)),
    (Kind.POWER, 10, (0.1, 2.0)),
    (Kind.TRAINER, 10, (0.0, 0.0)),
    (Kind.STOP, 5, (0.5, 6.0)),
    (Kind.CUT, 10, (1.0, 10.0)),
)


class Punisher:
    """Hands out faults; every victim is helped up before it is struck again."""

    def __init__(self, devices: Sequence[str], mtbf_s: float, dice: random.Random) -> None:
        self._devices, self._mtbf_s, self._dice = devices, mtbf_s, dice
        self._due: float | None = None
        self._load = 0
        self._down: dict[str, tuple[float, Fault]] = {}
        # Faults by kind: those that hit a fleet at work, and those that did not.
        self.counted: Counter[Kind] = Counter()
        self.void: Counter[Kind] = Counter()
        self.kills_coordinator = 0

    def strike(self, now: float, load: int) -> list[Fault]:
        """Faults to commit now; `load` is how much the fleet has done in all, in any unit that grows."""
        if self._due is None:
            self._due = now + self._dice.expovariate(1 / self._mtbf_s)
        at_work = load > self._load
        if now < self._due or not (at_work or now > self._due + PATIENCE_S):
            return []
        up = [name for name in (COORDINATOR, *self._devices) if name not in self._down]
        self._due = now + self._dice.expovariate(1 / self._mtbf_s)
        if not up:
            return []
        self._load = load
        # The coordinator is struck half as often as all devices together: it is the one that has everything to lose,
        # and while it is down nothing can be struck that counts.
        fair = [len(self._devices) / 2 if name == COORDINATOR else 1 for name in up]
        fault = self._fault(self._dice.choices(up, fair)[0])
        self._down[fault.victim] = (now + fault.pause_s, fault)
        (self.counted if at_work else self.void)[fault.kind] += 1
        self.kills_coordinator += at_work and fault.victim == COORDINATOR and fault.kind in KILLS
        return [fault]

    def relieve(self, now: float) -> list[Fault]:
        """Faults whose victims are to be helped up now."""
        over = [fault for until, fault in self._down.values() if until <= now]
        for fault in over:
            del self._down[fault.victim]
        return over

    @property
    def kills(self) -> int:
        """Processes killed while the fleet was at work."""
        return sum(self.counted[kind] for kind in KILLS)

    def _fault(self, victim: str) -> Fault:
        faults = _COORDINATOR_FAULTS if victim == COORDINATOR else _DEVICE_FAULTS
        [(kind, _, (shortest, longest))] = self._dice.choices(faults, [often for _, often, _ in faults])
        return Fault(kind, victim, self._dice.uniform(shortest, longest))
