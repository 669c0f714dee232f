"""How fast the simulator is: whole fleets on a quadratic bowl, and the event engine below them by itself.

A device-commit is one commit that one device has heard, applied and checked; three of them go with one delta that is
cut, packed, sent, admitted and folded, as a commit comes for every third of the fleet. The devices have joined before
the clock starts. All of it is the product's own code: rows called `fleet`. The same fleets without anything that
decides (`thinwire.bench.schedule`) are the rows `engine`: the distance between the two is agents, trainers, coordinator
and codec.

Each row is a process of its own, so that its memory is its own. Times are of the processor, not of the wall.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path

from thinwire.bench import schedule
from thinwire.common.history import versions
from thinwire.sim.cell import Cell, build
from thinwire.sim.settings import read_scenario
from thinwire.sim.workers import spread

FLEETS = (10, 100, 1_000, 10_000)
SMALL, LARGE = 100, 100_000  # parameters: the engine's own speed, and the memory of a real model
DEVICE_COMMITS, QUICK = 60_000, 6_000
ENGINE_TIMES = 10  # as many commits, for the engine alone is so much faster

SCENARIO = """
[simulation]
until = "1000d"
[[fleet]]
devices = {devices}
link = "200ms,2mbit"
step = "1s"
step_spread = 0.2
[task]
id = "quadratic"
params = {{ size = {size} }}
[training]
local_steps = 1
[density]
up = {density}
down = {density}
[aggregation]
buffer = {buffer}
min_devices = {devices}
[evaluation]
enabled = false
[stop]
max_commits = {commits}
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a fleet of this size took."""

    what: str
    devices: int
    parameters: int
    commits: int
    deltas: int
    device_commits: int
    cpu_s: float
    per_second: float  # device-commits a second of one core
    acts: int
    rss_MiB: float  # a unit


def run(quick: bool) -> list[Fleet]:
    """Each size of fleet with the product's classes and without them, and the memory of a real model."""
    wanted = QUICK if quick else DEVICE_COMMITS
    asked = [("fleet", devices, SMALL, max(3, wanted // devices)) for devices in FLEETS]
    asked.append(("memory", 1_000, LARGE, 3))
    asked += [("engine", devices, SMALL, max(3, ENGINE_TIMES * wanted // devices)) for devices in FLEETS]
    return [row for _, row in spread(measure, asked, jobs=1, runs_a_process=1)]


def measure(asked: tuple[str, int, int, int]) -> Fleet:
    """One row (what, devices, parameters, commits), in this process."""
    what, devices, size, commits = asked
    return alone(devices, commits) if what == "engine" else whole(what, devices, size, commits)


def whole(what: str, devices: int, size: int, commits: int) -> Fleet:
    """A fleet with the product's own classes."""
    text = _scenario(devices, size, commits)
    world, recorder = build(Cell(read_scenario(text), "all", 1))
    # Joining costs a device a snapshot, once; the clock starts with the first version, before anyone has heard it.
    while not recorder.rows:
        world.agenda.step(until=1e9)
    began, acts = time.process_time(), 0
    while world.agenda.step(until=1e9):
        acts += 1
    cpu_s = time.process_time() - began
    heard = sum(max(0, device.core.figures.version) for device in world.devices)
    deltas = sum(row.deltas for row in recorder.rows[1:])
    return Fleet(what, devices, size, len(recorder.rows), deltas, heard, cpu_s, heard / cpu_s, acts, _rss())


def alone(devices: int, commits: int) -> Fleet:
    """The engine without the product's classes."""
    counted = schedule.Fleet(read_scenario(_scenario(devices, SMALL, commits)), seed=1).run()
    speed = counted.device_commits / counted.cpu_s
    return Fleet(
        "engine", devices, SMALL, counted.commits, counted.deltas, counted.device_commits, counted.cpu_s, speed,
        counted.acts, _rss(),
    )  # fmt: skip


def _scenario(devices: int, size: int, commits: int) -> str:
    density = 0.1 if size == SMALL else 0.01
    return SCENARIO.format(
        devices=devices, size=size, density=density, buffer=max(1, devices // 3), commits=commits
    )


def write(rows: list[Fleet], folder: Path, command: str) -> None:
    """Leave simulate.md, with the table and how it came about, and simulate.svg in a folder of results."""
    from thinwire.sim.plots import scaling

    fleets, engine = ([row for row in rows if row.what == what] for what in ("fleet", "engine"))
    speeds = {
        "whole fleet": [row.per_second for row in fleets],
        "engine alone": [row.per_second for row in engine],
    }
    folder.mkdir(parents=True, exist_ok=True)
    picture = scaling([row.devices for row in fleets], speeds, [row.rss_MiB for row in fleets], "svg")
    (folder / "simulate.svg").write_bytes(picture)
    (folder / "simulate.md").write_text(_page(rows, command), encoding="utf-8")


def _page(rows: list[Fleet], command: str) -> str:
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    load, cores = os.getloadavg()[1], os.cpu_count()
    names = [field.name for field in fields(Fleet)]
    lines = [
        "# The simulator's speed and memory",
        "",
        f"Written by `{command}` on {datetime.now(timezone.utc):%Y-%m-%d}; {used};",
        f"{cores} cores, load {load:.1f} at the end. `bench/thinwire/bench/simulate.py` says what is measured.",
        "",
        f"| {' | '.join(names)} |",
        f"| {' | '.join('---' for _ in names)} |",
        *(f"| {' | '.join(_cell(getattr(row, name)) for name in names)} |" for row in rows),
        "",
        "![device-commits a second and memory, by devices](simulate.svg)",
        "",
    ]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float) and value < 10_000:
        return f"{value:.4g}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def _rss() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 2**20
