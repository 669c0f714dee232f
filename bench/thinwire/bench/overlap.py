"""Does a device really compute while its deltas and commits travel? Real processes, real gRPC, real data, and a proxy
between them that holds each byte back; the training knows nothing of it.

    hidden     R commits on a link whose round trip is five rounds of K local steps, on one without a round trip, and,
               for contrast, with `training.overlap = false`, which waits for each commit
    accuracy   time to a fixed accuracy at 600 ms against that at 0 ms, the same seed one after the other

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
from statistics import median

import msgspec

from thinwire.bench.linked import Plan, Traced, train
from thinwire.bench.rows import Row, at_least, at_most, told
from thinwire.common.history import versions
from thinwire.common.link import LinkProfile

RATE_BPS = 2e6
LOCAL_STEPS = 10
ROUNDS_AWAY = 5
SLOWEST, LEAST_BUSY, SLOWEST_TO_ACCURACY = 1.3, 95.0, 1.1
# Rounds of all devices, so that R commits are R * K steps of each.
ROUNDS = ("aggregation.mode=sync", "aggregation.quorum=1.0", "aggregation.deadline=10min", "evaluation.enabled=false")
# The demo's own settings; it stops when two evaluations in a row have reached the target.
TO_ACCURACY = ("training.learning_rate=0.1", "density.up=0.03", "density.down=0.05", "aggregation.buffer=3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    seeds: int = 3
    accuracy_seeds: int = 6  # times to an accuracy differ more
    step_s: float = 0.05
    devices: int = 4  # of "hidden": few, for two cores must stay idle for the most part, or steps outlast their padding
    commits: int = 60
    waiting_commits: int = 10  # without overlap a commit takes six times as long
    people: int = 10  # of "accuracy"
    rtt_s: float = 0.6
    target: float = 0.8
    on_the_way: tuple[float, ...] = (0.7, 0.75)  # told besides, without a bar


QUICK = Size(seeds=1, accuracy_seeds=1, commits=30, waiting_commits=5)


@dataclass(frozen=True, slots=True)
class Measured:
    """All runs in the order in which they ran, and what they come to; the machine's load before."""

    runs: list[Traced]
    rows: list[Row]
    load: float


def run(quick: bool, cells: Path | None = None) -> Measured:
    """Train and sum up; raise TaskError when a training does not come to its end. `cells` keeps what is done."""
    size = QUICK if quick else Size()
    plans = [*_hidden(size), *_accuracy(size)]
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
    path = cells / f"{plan.what}-{plan.link.rtt_s:g}s-seed-{plan.seed}-{same}.json"
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
                    what=what, link=LinkProfile(rtt_s, RATE_BPS), seed=seed, devices=size.devices, step_s=size.step_s,
                    local_steps=LOCAL_STEPS, rounds=True,
                    sets=(*ROUNDS, f"stop.max_commits={commits}", f"training.overlap={overlap}"),
                )  # fmt: skip


def _accuracy(size: Size) -> Iterable[Plan]:
    for seed in range(1, size.accuracy_seeds + 1):
        for rtt_s in (0.0, size.rtt_s):
            yield Plan(
                what="accuracy", link=LinkProfile(rtt_s, RATE_BPS), seed=seed, devices=size.people,
                step_s=size.step_s, local_steps=LOCAL_STEPS,
                sets=(*TO_ACCURACY, f"stop.target_accuracy={size.target}"),
            )  # fmt: skip


def summed(runs: list[Traced], size: Size) -> list[Row]:
    """What the runs come to: medians over seeds, and whether they reach the bars."""
    rows = []
    for rtt_s in (ROUNDS_AWAY * LOCAL_STEPS * size.step_s, 0.0):
        rows += _told_of(_of(runs, "overlap", rtt_s), bars=True) + _told_of(_of(runs, "waits", rtt_s), bars=False)
    return rows + _ratios(runs, size)


def _of(runs: list[Traced], what: str, rtt_s: float) -> list[Traced]:
    link = str(LinkProfile(rtt_s, RATE_BPS))
    return [traced for traced in runs if (traced.run.what, traced.run.link) == (what, link)]


def _told_of(runs: list[Traced], *, bars: bool) -> list[Row]:
    here = [traced.run for traced in runs]
    name = f"{here[0].what}, {here[0].link}"
    source = f"{here[0].devices} devices, {here[0].commits} commits"
    wall = [run.wall_over_compute or 0.0 for run in here]
    between = [run.between_over_compute or 0.0 for run in here]
    busy = [100 * run.busy_least for run in here]
    return [
        _row(f"{name}: wall / computing", wall, "x", source, most=SLOWEST if bars else None),
        _row(f"{name}: from the first commit on", between, "x", source),
        _row(f"{name}: the least busy trainer", busy, "%", source, least=LEAST_BUSY if bars else None),
    ]


def _ratios(runs: list[Traced], size: Size) -> list[Row]:
    rows = [row for accuracy in size.on_the_way for row in _compared(runs, size, accuracy)]
    return [*rows, *_compared(runs, size, size.target, most=SLOWEST_TO_ACCURACY)]


def _compared(runs: list[Traced], size: Size, accuracy: float, most: float | None = None) -> list[Row]:
    """How long both links take to one accuracy, and their ratios, seed by seed."""
    near, far = (
        [_seconds_to(accuracy, size, traced) for traced in _of(runs, "accuracy", rtt_s)] for rtt_s in (0.0, size.rtt_s)
    )
    ratios = [slow / fast for fast, slow in zip(near, far, strict=True)]
    source, rtt = f"{size.people} devices", f"{1000 * size.rtt_s:g} ms"
    return [
        _row(f"time to accuracy {accuracy:g}, 0 ms", near, "s", source),
        _row(f"time to accuracy {accuracy:g}, {rtt}", far, "s", source),
        _row(f"accuracy {accuracy:g}, {rtt} against 0 ms", ratios, "x", source, most=most),
    ]


def _seconds_to(accuracy: float, size: Size, traced: Traced) -> float:
    """At the target a run ends, once its newest model has it; what is below counts from its second evaluation."""
    on_the_way_s = traced.reached_s(accuracy) if accuracy < size.target else None
    return traced.run.wall_s if on_the_way_s is None else on_the_way_s


def _row(
    name: str, values: list[float], unit: str, source: str, *, most: float | None = None, least: float | None = None
) -> Row:
    """The median over seeds, which may have to be small or large."""
    about = f"{source}; {len(values)} seeds: {min(values):.3g} to {max(values):.3g}"
    if most is not None:
        return at_most("overlap", name, median(values), unit, about, most)
    if least is not None:
        return at_least("overlap", name, median(values), unit, about, least)
    return told("overlap", name, median(values), unit, about)
