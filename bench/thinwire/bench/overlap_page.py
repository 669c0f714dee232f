"""The page of `thinwire bench overlap`: what it comes to, every run, and how they went."""

from __future__ import annotations

import os
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path

from thinwire.bench.linked import Run, Traced
from thinwire.bench.overlap import ROUNDS, Measured
from thinwire.bench.races import RACES, Race
from thinwire.bench.rows import Row
from thinwire.common.history import versions
from thinwire.sim.plots import curves

ABOUT = """\
Real processes over real gRPC, each device behind a proxy of its own that holds every byte back for half the round trip.
Every local step is padded to the same time, and cutting, packing and taking in commits come on top. Times begin when
all devices have joined, so they hold the first model's way down and the first deltas' way up.
`bench/thinwire/bench/overlap.py` says what is measured."""


def write(measured: Measured, folder: Path, command: str) -> None:
    """Leave overlap.md, and its pictures beside it, in a folder of results."""
    folder.mkdir(parents=True, exist_ok=True)
    races = {race.name for race in RACES}
    hidden = [traced for traced in measured.runs if traced.run.what not in races]
    (folder / "overlap-commits.svg").write_bytes(
        curves(
            "Commits over computing time", "time (K local steps)", "commits",
            [(f"{t.run.what}, {t.run.link}", [(s / _round_s(t.run), v) for s, v in t.commits]) for t in hidden], "svg",
        )
    )  # fmt: skip
    for race in RACES:
        reached = [traced for traced in measured.runs if traced.run.what == race.name]
        (folder / _picture(race)).write_bytes(
            curves(
                f"Accuracy of {race.task} over time, a line a seed", "time (s)", "accuracy",
                [(t.run.link, t.accuracy) for t in reached], "svg",
            )
        )  # fmt: skip
    (folder / "overlap.md").write_text(_page(measured, command), encoding="utf-8")


def _picture(race: Race) -> str:
    return f"overlap-{race.task}.svg"


def _round_s(run: Run) -> float:
    return run.local_steps * run.step_ms / 1000


def _page(measured: Measured, command: str) -> str:
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    seeds = sorted({traced.run.seed for traced in measured.runs})
    loads = [traced.run.load for traced in measured.runs]
    names = [field.name for field in fields(Run)]
    return "\n".join(
        [
            "# Computing while bytes travel",
            "",
            f"Written by `{command}` on {datetime.now(timezone.utc):%Y-%m-%d}; {used};",
            f"seeds {', '.join(map(str, seeds))}; {os.cpu_count()} cores, load {measured.load:.1f} before and "
            f"{min(loads):.1f} to {max(loads):.1f} while it ran, its own included.",
            "",
            ABOUT,
            "",
            f"- `overlap`, `waits`: the task `watch`, the method `thinwire` with `{'`, `'.join(ROUNDS)}`;",
            "  `waits` also has `training.overlap=false`: it waits for the commit of each delta.",
            *(f"- `{race.name}`: the method `thinwire` with `{'`, `'.join(race.sets)}`." for race in RACES),
            "",
            "Medians over seeds, with the least and the largest:",
            "",
            "| what | value | | bar | | runs |",
            "| --- | --- | --- | --- | --- | --- |",
            *(_row(row) for row in measured.rows),
            "",
            "![commits over time, in units of K local steps](overlap-commits.svg)",
            "",
            *(f"![accuracy of {race.task} over time]({_picture(race)})" for race in RACES),
            "",
            "Every run; `bench/thinwire/bench/linked.py` says what the columns are:",
            "",
            f"| {' | '.join(names)} |",
            f"| {' | '.join('---' for _ in names)} |",
            *(_run(traced, names) for traced in measured.runs),
            "",
        ]
    )


def _row(row: Row) -> str:
    bar = "" if row.target is None else f"{row.target:g}"
    met = {True: "met", False: "**missed**", None: ""}[row.met]
    return f"| {row.name} | {row.value:.4g} | {row.unit} | {bar} | {met} | {row.reference} |"


def _run(traced: Traced, names: list[str]) -> str:
    return f"| {' | '.join(_cell(getattr(traced.run, name)) for name in names)} |"


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
