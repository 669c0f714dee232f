"""`thinwire simulate`: a scenario's methods on its fleet, in virtual time."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from thinwire.cli import options, tables
from thinwire.cli.failure import CommandError
from thinwire.cli.progress import Progress, progress
from thinwire.common.exits import Exit

if TYPE_CHECKING:
    from thinwire.common.history import History
    from thinwire.sim.cell import Cell
    from thinwire.sim.engine import Engine
    from thinwire.sim.settings import Scenario

# Columns of the summary that a narrow terminal goes without, first to go first.
SPARE = (
    "hidden", "delay", "staleness", "down", "up", "commits", "time", "bytes to target", "time to target", "target",
)  # fmt: skip


@click.command()
@click.argument("path", type=options.FILE, metavar="SCENARIO.toml", required=False)
@click.option(
    "--like", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Simulate the run of `thinwire demo --keep DIR` instead, and compare the two.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results; by default the scenario's name in ./simulated.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a method and seed.")
@click.option("--seed", "seeds", type=click.IntRange(0), multiple=True, help="Run these seeds only; may be repeated.")
@click.option("--method", "methods", multiple=True, help="Run these methods only; may be repeated.")
@click.option(
    "--devices", type=click.IntRange(1), metavar="N",
    help="A fleet of so many devices: groups, buffers and min_devices in proportion.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(1), show_default="1; with a Ray cluster, its processors",
    help="Runs at a time, a process each.",
)  # fmt: skip
@click.option(
    "--engine", type=click.Choice(["processes", "ray"]), default="processes", show_default=True,
    help="Who does the runs: processes of this machine, or Ray, on the cluster that RAY_ADDRESS names.",
)  # fmt: skip
@click.option("sets", "--set", metavar="KEY=VALUE", multiple=True, help="Set one key, for example density.up=0.1.")
def simulate(
    path: Path | None, like: Path | None, out: Path | None, as_json: bool, seeds: tuple[int, ...],
    methods: tuple[str, ...], devices: int | None, jobs: int | None, engine: str, sets: tuple[str, ...],
) -> None:  # fmt: skip
    """Run a scenario in virtual time: its methods, on its fleet, with each of its seeds.

    Coordinator, agents, policies and codec are those of a real fleet; links, clocks and processes are simulated. A run
    that is in the folder already is not run again. docs/simulation.md describes the file.

    \b
    Examples:
      thinwire simulate examples/scenarios/watch.toml
      thinwire simulate examples/scenarios/thousand.toml --devices 30
      thinwire demo --keep run && thinwire simulate --like run
      thinwire simulate examples/scenarios/quadratic.toml --seed 1 --set simulation.until=5min --json
    """
    # numpy's BLAS adds in an order that depends on how many threads it has; in a process of Ray's it has one.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from thinwire.sim.compare import CellsFailedError, cells_of
    from thinwire.sim.like import real_run
    from thinwire.sim.scaled import scaled

    scenario = _scenario(path, like, sets)
    if devices is not None:
        scenario = scaled(scenario, devices)
    for method in methods:
        if method not in scenario.methods:
            raise click.UsageError(f"{path or like} has no method {method!r}; it has {', '.join(scenario.methods)}")
    folder = out or (like / "simulated" if like else Path("simulated") / scenario.name)
    runner = _engine(engine, jobs)
    _make(folder)
    failure = None
    try:
        histories = _run(cells_of(scenario, methods, seeds), folder, runner)
    except CellsFailedError as error:
        failure, histories = error, error.histories
    if histories:
        if like is not None:
            histories.insert(0, real_run(like))
        _draw(histories, folder)
        _print(histories, as_json)
        if like is not None:
            _print_gap(histories[0], histories[1:], as_json)
    if failure is not None:
        raise failure


def _make(folder: Path) -> None:
    """Before hours of computing, rather than after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder}: cannot be made: {error.strerror}; --out names another folder"
        raise CommandError(message, Exit.DISK) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError(f"{folder}: cannot be written to; --out names another folder", Exit.DISK)


def _engine(name: str, jobs: int | None) -> "Engine":
    if name == "ray":
        from thinwire.sim.ray_engine import RayEngine

        return RayEngine(jobs)
    from thinwire.sim.engine import Processes

    return Processes(jobs or 1)


def _run(cells: "list[Cell]", folder: Path, engine: "Engine") -> "list[History]":
    from thinwire.sim.compare import News, run_cells

    with progress(len(cells)) as told:
        news = News(told.found, told.begun, told.failed)
        try:
            return run_cells(cells, folder, engine, told.seen, told.finished, news)
        except KeyboardInterrupt:
            raise CommandError(_interrupted(told, len(cells), folder), Exit.INTERRUPT) from None


def _interrupted(told: Progress, cells: int, folder: Path) -> str:
    failed = f", {told.unable} failed" if told.unable else ""
    if not told.done:
        return f"interrupted: none of {cells} runs is done{failed}; the same command begins anew"
    done = f"{told.done} of {cells} runs are done and kept in {folder}"
    return f"interrupted: {done}{failed}; the same command goes on from there"


def _scenario(path: Path | None, like: Path | None, sets: tuple[str, ...]) -> "Scenario":
    from thinwire.sim.like import scenario_like
    from thinwire.sim.settings import load_scenario

    if like is not None and path is None and not sets:
        return scenario_like(like)
    if path is None or like is not None:
        raise click.UsageError("give a scenario file, or else --like DIR and nothing to --set")
    return load_scenario(path, sets)


def _print_gap(real: "History", simulated: "list[History]", as_json: bool) -> None:
    from thinwire.sim.like import COMPARED, SCHEMA, gap

    figures = gap(real, simulated)
    seeds = [history.header.seed for history in simulated]
    if as_json:
        pairs = {name: {"real": one, "simulated": other} for name, (one, other) in figures.items()}
        click.echo(json.dumps({"schema": SCHEMA, "real_seed": real.header.seed, "seeds": seeds, "figures": pairs}))
        return
    rows = []
    for name, (one, other) in figures.items():
        title, form = COMPARED[name]
        rows.append([title, format(one, form), format(other, form), f"{other / one:.2f}" if one else "-"])
    mean = f"simulated, mean of {len(seeds)} seeds" if len(seeds) > 1 else "simulated"
    click.echo()
    tables.show(tables.Table(["figure", "real", mean, "simulated / real"], rows))
    if set(seeds) != {real.header.seed}:
        told = ", ".join(map(str, seeds))
        click.echo(f"the real run had seed {real.header.seed}, the simulation {told}", err=True)


def _print(histories: "list[History]", as_json: bool) -> None:
    from thinwire.sim.outcome import outcome_of, summary

    if as_json:
        for history in histories:
            click.echo(json.dumps(outcome_of(history)))
    else:
        tables.show(tables.of_records(summary(histories)), spare=SPARE)


def _draw(histories: "list[History]", folder: Path) -> None:
    from thinwire.sim.plots import PICTURES, PlotError, draw

    try:
        for picture in PICTURES:
            for form in ("svg", "png"):
                (folder / f"{picture.name}.{form}").write_bytes(draw(picture, histories, form))
    except PlotError as error:
        click.echo(f"histories are in {folder}; {error}", err=True)
    else:
        click.echo(f"histories and plots are in {folder}", err=True)
