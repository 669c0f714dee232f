"""`thinwire chaos soak`: a real fleet over bad lines, struck every few seconds, and its books checked meanwhile.

    start      lines, coordinator, agents; wait until the training goes on
    strike     faults from the seed; a victim is helped up after its pause
    settle     no more faults: all that was sealed must get its outcome, and the training must go on with all devices
    audit      stop all; read journal and stores once more; replay the journal

The process that does this moves into a namespace of its own, the hub, and everything that it starts goes with it when
it ends, however it ends.
"""

from __future__ import annotations

import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from thinwire.chaos import namespaces, plan
from thinwire.chaos.books import Books
from thinwire.chaos.checker import Checker
from thinwire.chaos.flat import Growth
from thinwire.chaos.fleet import Fleet
from thinwire.chaos.hand import Hand
from thinwire.chaos.lines import Lines
from thinwire.chaos.options import SoakOptions
from thinwire.chaos.punisher import COORDINATOR, Punisher
from thinwire.chaos.report import SoakReport, tell
from thinwire.common.errors import DiskError, SettingsError, TaskError
from thinwire.common.settings import to_toml
from thinwire.demo.fleet import free_port
from thinwire.demo.watcher import Watcher
from thinwire.v1 import operator_pb2

TICK_S = 0.05
LOOK_EVERY_S, READ_EVERY_S, SAY_EVERY_S = 0.5, 5.0, 5.0
ANSWER_WITHIN_S = 1.0
# A process that was born a moment ago grows because it starts.
GROWN_UP_S = 5.0
# Torch takes seconds to import, times the devices, on a machine that others use too.
START_WITHIN_S = 180.0
SETTLE_WITHIN_S = 90.0
# The training goes on when so many versions came after the last fault.
GOES_ON_VERSIONS = 5


def run(options: SoakOptions) -> int:
    """Run the soak; give the exit code."""
    if options.network == "namespaces":
        if reason := namespaces.why_not():
            raise SettingsError(
                f"--network namespaces is not possible here: {reason}",
                "--network loopback needs nothing: it delays, paces and cuts, but loses no packets",
            )
        namespaces.unshare()
    # Only an exception runs the stack's end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder = options.keep or Path(tempfile.mkdtemp(prefix="thinwire-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        report = _Soak(options, folder, stack).run()
    code = tell(report, options, folder)
    if options.keep is None and not report.violations:
        shutil.rmtree(folder)
    return code


class _Soak:
    """One run."""

    def __init__(self, options: SoakOptions, folder: Path, stack: ExitStack) -> None:
        self._options, self._folder = options, folder
        self._devices = [plan.name_of(device) for device in range(options.devices)]
        self._port = plan.PORT if options.network == "namespaces" else free_port(plan.PORT)
        self._lines = stack.enter_context(Lines(plan.network_of(options, self._port)))
        self._fleet = Fleet(folder)
        stack.callback(self._fleet.close)
        self._watcher = stack.enter_context(Watcher(f"127.0.0.1:{self._port}", ANSWER_WITHIN_S))
        self._hand = Hand(self._fleet, self._lines, self._devices)
        self._punisher = Punisher(self._devices, options.mtbf_s, random.Random(f"{options.seed} punisher"))
        self._checker = Checker()
        stores = {name: plan.state_of(folder, name) for name in self._devices}
        self._books = Books(plan.state_of(folder, COORDINATOR), stores)
        self._status = operator_pb2.GetStatusResponse()
        # Deltas settled in all, and as the coordinator counted them when it last answered.
        self._load = self._counted = 0
        self._lives_seen, self._restarts_s = 0, list[float]()
        self._growth: dict[str, Growth] = {}
        self._turns: Counter[str] = Counter()
        self._began = time.monotonic()

    def run(self) -> SoakReport:
        """From the first process to the last figure."""
        goes_on_s = None
        faults_began = time.monotonic()
        try:
            self._start()
            faults_began = time.monotonic()
            self._strike(faults_began + 60 * self._options.minutes)
            faults_s = time.monotonic() - faults_began
            goes_on_s = self._settle()
        except TaskError as error:
            self._checker.blame("M9 all live", str(error))
            faults_s = time.monotonic() - faults_began
        return self._report(faults_s, goes_on_s)

    # -- the parts ---------------------------------------------------------------------------------------------

    def _start(self) -> None:
        coordinator = plan.coordinator_settings(self._options, self._folder, self._port)
        self._fleet.start(COORDINATOR, "coordinator", "-c", self._write(COORDINATOR, to_toml(coordinator)))
        for place, name in zip(self._lines.places, self._devices, strict=True):
            agent = plan.agent_settings(self._options, self._folder, place.device, place.address)
            self._fleet.start(name, "agent", "-c", self._write(name, to_toml(agent)), namespace=place.namespace)
        patience_ends = time.monotonic() + START_WITHIN_S
        while self._status.version < GOES_ON_VERSIONS:
            self._tick("starting")
            if time.monotonic() > patience_ends:
                raise TaskError(f"the training did not begin; {self._fleet.processes[COORDINATOR].last_words()}")

    def _strike(self, until: float) -> None:
        while (now := time.monotonic()) < until:
            self._tick("striking")
            for fault in self._punisher.relieve(now):
                self._hand.help_up(fault)
            for fault in self._punisher.strike(now, self._load):
                self._hand.strike(fault)

    def _settle(self) -> float | None:
        """Help everybody up, wait, stop all and audit; give the seconds until the training went on."""
        for fault in self._punisher.relieve(float("inf")):
            self._hand.help_up(fault)
        began, version, goes_on_s = time.monotonic(), self._status.version, None
        self._read()
        due = self._checker.open()
        while time.monotonic() < began + SETTLE_WITHIN_S:
            self._tick("settling")
            whole = self._status.connected == len(self._devices)
            if goes_on_s is None and whole and self._status.version >= version + GOES_ON_VERSIONS:
                goes_on_s = time.monotonic() - began
            if goes_on_s is not None and not due & self._checker.open():
                break
        if goes_on_s is None:
            went = f"version {self._status.version} after {version}"
            there = f"{self._status.connected} of {len(self._devices)} devices connected"
            self._checker.blame("M9 goes on", f"{SETTLE_WITHIN_S:.0f} s after the last fault: {went}, {there}")
        self._fleet.stop(*self._devices)
        self._look()
        self._fleet.stop(COORDINATOR)
        self._read()
        self._checker.quiet(due, plan.BUFFER)
        self._replay()
        for line in self._fleet.unwanted():
            self._checker.blame("M9 no mishap", line)
        for role, growth in self._growth.items():
            if growth.evidence:
                self._checker.blame("M9 flat", f"{role}: {growth.evidence}")
        return goes_on_s

    def _replay(self) -> None:
        for problem in self._books.audit():
            self._checker.blame("M6 bit for bit", f"thinwire journal verify: {problem}")
        try:
            replayed = self._books.replay()
        except DiskError as error:
            self._checker.blame("M6 bit for bit", f"the journal cannot be replayed: {error}")
            return
        if replayed is not None:
            self._checker.checksum(*replayed, "the journal, replayed")
            self._checker.status(self._status.lineage, *replayed)

    # -- what goes on all the time -----------------------------------------------------------------------------

    def _tick(self, stage: str) -> None:
        time.sleep(TICK_S)
        self._fleet.check()
        if self._is_time("look", LOOK_EVERY_S):
            self._look()
        if self._is_time("read", READ_EVERY_S):
            self._measure()
            if self._books.rested:
                self._read()
        if self._is_time("say", SAY_EVERY_S):
            self._say(stage)

    def _is_time(self, what: str, every_s: float) -> bool:
        turn = int((time.monotonic() - self._began) / every_s)
        due, self._turns[what] = turn > self._turns[what], turn
        return due

    def _look(self) -> None:
        coordinator = self._fleet.processes[COORDINATOR]
        status = self._watcher.status() if coordinator.pid is not None else None
        if status is None:
            return
        if coordinator.lives > self._lives_seen:
            self._restarts_s.append(time.monotonic() - coordinator.began)
            self._lives_seen = coordinator.lives
        self._status = status
        self._checker.status(status.lineage, status.version, status.checksum)
        settled = status.accepted + status.rejected
        # A coordinator that was started again may count from 0.
        self._load += settled - self._counted if settled >= self._counted else settled
        self._counted = settled

    def _read(self) -> None:
        try:
            stores, journal = self._books.read()
        except DiskError as error:
            self._checker.blame("M6 bit for bit", str(error))
            return
        self._checker.store(stores)
        self._checker.journal(journal)
        self._checker.agree()

    def _measure(self) -> None:
        now = time.monotonic()
        self._growth.setdefault("lines", Growth()).measure(self._lines.pid, now)
        for name, process in self._fleet.processes.items():
            if process.pid is not None and now > process.began + GROWN_UP_S:
                role = COORDINATOR if name == COORDINATOR else "agents"
                self._growth.setdefault(role, Growth()).measure(process.pid, now)

    # -- words -------------------------------------------------------------------------------------------------

    def _say(self, stage: str) -> None:
        elapsed_s = round(time.monotonic() - self._began)
        s, p, c = self._status, self._punisher, self._checker
        print(
            f"{elapsed_s // 60:3d}:{elapsed_s % 60:02d}  {stage:9s} {p.counted.total():4d} faults, {p.kills} kills"
            f"  version {s.version}, {s.connected} of {len(self._devices)} connected"
            f"  {len(c.sealed)} sealed, {len(c.settled)} settled, {len(c.violations)} violations",
            file=sys.stderr, flush=True,
        )  # fmt: skip

    def _write(self, name: str, text: str) -> str:
        path = self._folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def _report(self, faults_s: float, goes_on_s: float | None) -> SoakReport:
        o, p, c = self._options, self._punisher, self._checker
        # The first start has nothing to recover.
        restarts_s = self._restarts_s[1:]
        return SoakReport(
            seed=o.seed,
            network=o.network,
            lines=o.lines,
            devices=o.devices,
            minutes=faults_s / 60,
            mtbf_s=o.mtbf_s,
            faults={str(kind): count for kind, count in p.counted.items()},
            void={str(kind): count for kind, count in p.void.items()},
            kills=p.kills,
            kills_coordinator=p.kills_coordinator,
            versions=self._status.version,
            accuracy=self._status.metrics.get("accuracy", 0.0),
            sealed=len(c.sealed),
            outcomes=c.outcomes(),
            folded=len(c.folded),
            journal_checked=bool(c.settled),
            restart_s_median=median(restarts_s) if restarts_s else None,
            restart_s_max=max(restarts_s, default=None),
            goes_on_s=goes_on_s,
            memory_mib_per_hour={role: growth.memory.per_hour for role, growth in self._growth.items()},
            memory_mib_most={role: growth.memory.most for role, growth in self._growth.items()},
            files_most={role: growth.files.most for role, growth in self._growth.items()},
            packets=dict(self._lines.close()),
            violations=c.violations,
        )
