"""Does a device really compute while its deltas and commits travel? Real processes, real gRPC, real data, and a proxy
between them that holds each byte back; the training knows nothing of it.

    hidden     R commits on a link whose round trip is five rounds of K local steps, on one without a round trip, and,
               for contrast, with `training.overlap = false`, which waits for each commit
    accuracy   time to an accuracy at 600 ms against that at 0 ms (`bench/thinwire/bench/races.py`)

The computing of R commits is R * K * step: each step is padded to the same time (`bench/thinwire/bench/paced.py`).
Wall times begin when all devices have joined, so they hold the first model's way down and the first deltas' way up.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from thinwire.bench import races
from thinwire.bench.linked import LOCAL_STEPS, RATE_BPS, Plan, Traced, of, train
from thinwire.bench.rows import Row, over_seeds
from thinwire.common.history import versions
from thinwire.common.link import LinkProfile
from thinwire.tasks.pictures import find

ROUNDS_AWAY = 5
SLOWEST, LEAST_BUSY = 1.3, 95.0
# Rounds of all devices, so that R commits are R * K steps of each.
ROUNDS = ("aggregation.mode=sync", "aggregation.quorum=1.0", "aggregation.deadline=10min", "evaluation.enabled=false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    seeds: int = 3
    most_race_seeds: int | None = None  # as many as each race has
    step_s: float = 0.05
    devices: int = 4  # few, for two cores must stay idle for the most part, or steps outlast their padding
    commits: int = 60
    waiting_commits: int = 10  # without overlap a commit takes six times as long


QUICK = Size(seeds=1, most_race_seeds=1, commits=30, waiting_commits=5)


@dataclass(frozen=True, slots=True)
class Measured:
    """All runs in the order in which they ran, and what they come to; the machine's load before."""

    runs: list[Traced]
    rows: list[Row]
    load: float


def run(quick: bool, cells: Path | None = None) -> Measured:
    """Train and sum up; raise TaskError when a training does not come to its end. `cells` keeps what is done."""
    size = QUICK if quick else Size()
    find(races.DIGITS.task)  # or say how to fetch it, before a quarter of an hour has passed
    plans = [*_hidden(size), *races.plans(size.step_s, size.most_race_seeds)]
    load, runs = os.getloadavg()[0], list[Traced]()
    print(f"load {load:.1f} on {os.cpu_count()} cores before the first run", file=sys.stderr, flush=True)
    for number, plan in enumerate(plans, 1):
        runs.append(_trained(plan, cells))
        done = runs[-1].run
        print(
            f"[{number}/{len(plans)}] {done.what}, {done.link}, seed {done.seed}: {done.commits} commits in "
            f"{done.wall_s:.1f} s, trainers busy {100 * done.busy_median:.1f} %; load {done.load:.1f}",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    return Measured(runs, summed(runs, size), load)


def _trained(plan: Plan, cells: Path | None) -> Traced:
    if cells is None:
        return train(plan)
    same = hashlib.sha256(repr((plan, versions())).encode()).hexdigest()[:12]
    path = cells / f"{plan.what.replace(' ', '-')}-{plan.link.rtt_s:g}s-seed-{plan.seed}-{same}.json"
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Traced)
    done = train(plan)
    cells.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(done))
    part.replace(path)
    return done


def _hidden(size: Size) -> Iterable[Plan]:
    away_s = ROUNDS_AWAY * LOCAL_STEPS * size.step_s
    for seed in range(1, size.seeds + 1):
        for what, overlap, commits in (("overlap", "true", size.commits), ("waits", "false", size.waiting_commits)):
            for rtt_s in (0.0, away_s):
                yield Plan(
                    what=what, task="watch", link=LinkProfile(rtt_s, RATE_BPS), seed=seed, devices=size.devices,
                    step_s=size.step_s, local_steps=LOCAL_STEPS, rounds=True,
                    sets=(*ROUNDS, f"stop.max_commits={commits}", f"training.overlap={overlap}"),
                )  # fmt: skip


def summed(runs: list[Traced], size: Size) -> list[Row]:
    """What the runs come to: medians over seeds, and whether they reach the bars."""
    rows: list[Row] = []
    for rtt_s in (ROUNDS_AWAY * LOCAL_STEPS * size.step_s, 0.0):
        link = LinkProfile(rtt_s, RATE_BPS)
        rows += _told(of(runs, "overlap", link), bars=True) + _told(of(runs, "waits", link), bars=False)
    return [*rows, *races.rows(runs)]


def _told(runs: list[Traced], *, bars: bool) -> list[Row]:
    here = [traced.run for traced in runs]
    name = f"{here[0].what}, {here[0].link}"
    source = f"{here[0].devices} devices, {here[0].commits} commits"
    wall = [run.wall_over_compute or 0.0 for run in here]
    between = [run.between_over_compute or 0.0 for run in here]
    busy = [100 * run.busy_least for run in here]
    return [
        over_seeds("overlap", f"{name}: wall / computing", wall, "x", source, most=SLOWEST if bars else None),
        over_seeds("overlap", f"{name}: from the first commit on", between, "x", source),
        over_seeds("overlap", f"{name}: the least busy trainer", busy, "%", source, least=LEAST_BUSY if bars else None),
    ]
