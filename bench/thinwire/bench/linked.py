"""One training of a real fleet behind emulated links: a process for the coordinator, one for the links, two a device.

What is said of it comes from outside: times and versions from the coordinator's clock, asked twenty times a second,
and the steps from what the paced task has noted.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from thinwire.bench.paced import TASKS, steps_of
from thinwire.common.errors import TaskError
from thinwire.common.link import LinkProfile
from thinwire.common.settings import AgentSettings, CoordinatorSettings, loads
from thinwire.demo.fleet import Fleet, free_port
from thinwire.demo.summary import stands_at
from thinwire.demo.watcher import Watcher
from thinwire.v1 import operator_pb2

RATE_BPS = 2e6
LOCAL_STEPS = 10
LOOK_EVERY_S = 0.05
GIVE_UP_S = 600.0
LAST_WORDS_S = 30.0
PEOPLE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A training that is to be run."""

    what: str
    task: str
    link: LinkProfile
    seed: int
    devices: int
    step_s: float
    local_steps: int
    sets: tuple[str, ...]  # of the coordinator, KEY=VALUE
    rounds: bool = False  # whether each commit takes `local_steps` of every device


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of it. Times in seconds from the moment that all devices were there, at the coordinator."""

    what: str
    task: str
    link: str
    seed: int
    devices: int
    local_steps: int
    step_ms: float
    commits: int
    wall_s: float  # until the last commit
    first_s: float  # until the first
    wall_over_compute: float | None  # wall_s / (commits * local_steps * step), where commits are rounds
    between_over_compute: float | None  # the same from the first commit to the last
    busy_least: float  # time within steps over the time from the first to the last, of the device with the least
    busy_median: float
    step_mean_ms: float
    between_steps_ms: float  # the longest that any trainer took from one step to the next, cutting and commits included
    delay_steps: int
    staleness: float
    accuracy: float
    equal: int  # devices whose model is the coordinator's, bit for bit
    load: float  # of the machine in the last minute, at the end


@dataclass(frozen=True, slots=True)
class Traced:
    """A run, and how it went: (seconds, commits) and (seconds, accuracy)."""

    run: Run
    commits: tuple[tuple[float, float], ...]
    accuracy: tuple[tuple[float, float], ...]

    def reached_s(self, accuracy: float) -> float | None:
        """When the second of two evaluations in a row was at `accuracy`, as `stop.target_accuracy` asks; or None."""
        for (_, first), (second_s, second) in itertools.pairwise(self.accuracy):
            if min(first, second) >= accuracy:
                return second_s
        return None


def of(runs: Iterable[Traced], what: str, link: LinkProfile) -> list[Traced]:
    """The runs of one kind on one link, in their order."""
    return [traced for traced in runs if (traced.run.what, traced.run.link) == (what, str(link))]


def train(plan: Plan) -> Traced:
    """Run it to its end, on files that go; raise TaskError when there is none."""
    with tempfile.TemporaryDirectory(prefix="thinwire-bench-") as name:
        folder = Path(name)
        (folder / "steps").mkdir()
        fleet = Fleet(folder)
        try:
            port = free_port()
            fleet.coordinator(_coordinator(plan, folder, port))
            ports = fleet.links(f"127.0.0.1:{port}", plan.link, plan.devices)
            for device, at in enumerate(ports):
                fleet.agent(_agent(plan, device, at))
            with Watcher(f"127.0.0.1:{port}") as watcher:
                return _watched(plan, folder, fleet, watcher)
        finally:
            fleet.stop()


def _coordinator(plan: Plan, folder: Path, port: int) -> CoordinatorSettings:
    chosen = (
        f'listen.address="127.0.0.1:{port}"',
        'listen.metrics=""',
        'task.id="paced"',
        f'tasks.paced="{TASKS[plan.task]}"',
        f"task.params.step_s={plan.step_s}",
        f'task.params.log="{folder / "steps"}"',
        f"task.seed={plan.seed}",
        f"training.local_steps={plan.local_steps}",
        f"aggregation.min_devices={plan.devices}",
    )
    return loads("", CoordinatorSettings, (*chosen, *plan.sets), "the benchmark")


def _agent(plan: Plan, device: int, port: int) -> AgentSettings:
    chosen = (
        f'coordinator.address="127.0.0.1:{port}"',
        f'tasks.paced="{TASKS[plan.task]}"',
        f'device.name="{_name(device)}"',
        f"device.shards={PEOPLE}",
        f"device.shard={device % PEOPLE}",
        f"device.seed={plan.seed * 1000 + device}",
    )
    return loads("", AgentSettings, chosen, "the benchmark")


def _name(device: int) -> str:
    return f"watch-{device:02d}"


def _watched(plan: Plan, folder: Path, fleet: Fleet, watcher: Watcher) -> Traced:
    commits: list[tuple[float, float]] = []
    accuracy: list[tuple[float, float]] = []
    evaluated = -1
    gives_up_at = time.monotonic() + GIVE_UP_S
    while True:
        fleet.check()
        status = watcher.status()
        if status is not None and status.phase != "starting":
            if status.version != (commits[-1][1] if commits else 0):
                commits.append((status.elapsed_s, float(status.version)))
            if "accuracy" in status.metrics and status.evaluated_version != evaluated:
                evaluated = status.evaluated_version
                accuracy.append((status.elapsed_s, status.metrics["accuracy"]))
            if status.phase == "finished":
                break
        if time.monotonic() > gives_up_at:
            raise TaskError(f"{plan.what}, {plan.link}, seed {plan.seed}: no end after {GIVE_UP_S:g} s; load {_load()}")
        time.sleep(LOOK_EVERY_S)
    status, devices = _last_words(watcher, status)
    return Traced(_run(plan, folder, status, devices, commits[0]), tuple(commits), tuple(accuracy))


def _last_words(
    watcher: Watcher, status: operator_pb2.GetStatusResponse
) -> tuple[operator_pb2.GetStatusResponse, list[operator_pb2.Device]]:
    """Wait until every device has told that its model is the last one, and how long it took."""
    gives_up_at = time.monotonic() + LAST_WORDS_S
    while True:
        status = watcher.status() or status
        devices = watcher.devices()
        if all(stands_at(device, status) for device in devices) or time.monotonic() > gives_up_at:
            return status, devices
        time.sleep(LOOK_EVERY_S)


def _run(
    plan: Plan, folder: Path, status: operator_pb2.GetStatusResponse, devices: list[operator_pb2.Device],
    first: tuple[float, float],
) -> Run:  # fmt: skip
    steps = [steps_of(folder / "steps", _name(device)) for device in range(plan.devices)]
    lengths = [step_N2[:, 1] - step_N2[:, 0] for step_N2 in steps]
    spans = [float(step_N2[-1, 1] - step_N2[0, 0]) for step_N2 in steps]
    busy = [float(step_N.sum()) / span_s for step_N, span_s in zip(lengths, spans, strict=True)]
    round_s = plan.local_steps * plan.step_s
    first_s, first_version = first
    whole = status.elapsed_s / (round_s * status.version)
    between = (status.elapsed_s - first_s) / (round_s * max(1, status.version - first_version))
    return Run(
        what=plan.what, task=plan.task, link=str(plan.link), seed=plan.seed, devices=plan.devices,
        local_steps=plan.local_steps, step_ms=1000 * plan.step_s, commits=status.version,
        wall_s=status.elapsed_s, first_s=first_s,
        wall_over_compute=whole if plan.rounds else None, between_over_compute=between if plan.rounds else None,
        busy_least=min(busy), busy_median=median(busy),
        step_mean_ms=1000 * float(np.mean(np.concatenate(lengths))),
        between_steps_ms=1000 * max(float((step_N2[1:, 0] - step_N2[:-1, 1]).max()) for step_N2 in steps),
        delay_steps=status.delay_median, staleness=status.mean_staleness, accuracy=status.metrics.get("accuracy", 0.0),
        equal=sum(stands_at(device, status) for device in devices), load=_load(),
    )  # fmt: skip


def _load() -> float:
    return os.getloadavg()[0]
