"""`thinwire bench`: measure the parts that must be fast, on this machine."""

import dataclasses
import importlib
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from thinwire.cli import tables


@click.group()
def bench() -> None:
    """Measure the parts that must be fast, on this machine.

    \b
    Example:
      thinwire bench codec --quick
    """


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
_jobs = click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Runs at a time, a process each."
)
_out = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to leave a page with tables and plots in."
)


def _quick(help: str) -> Callable[[Any], Any]:
    return click.option("--quick", is_flag=True, help=help)


def _cells(folder: str | None) -> Callable[[Any], Any]:
    return click.option(
        "--cells", type=click.Path(file_okay=False, path_type=Path), default=folder, show_default=True,
        help="Folder to keep each run in when it is done; what is there is not run again.",
    )  # fmt: skip


def _measures(module: str, summary: str) -> None:
    """Add a command that prints what a module's `run(quick)` measures."""

    @bench.command(module, help=f"{summary}\n\n\b\nExample:\n  thinwire bench {module} --quick")
    @_quick("Fewer repetitions, for a first look.")
    @_json
    def measure(quick: bool, as_json: bool) -> None:
        run: Callable[[bool], Sequence[Any]] = importlib.import_module(f"thinwire.bench.{module}").run
        _print(run(quick), as_json)


_measures("codec", "Selecting, quantising, packing and unpacking.")
_measures("step", "The work of a device and of the coordinator for one delta.")
_measures("journal", "What it costs that nothing is lost, and how long a restart takes.")
_measures("flash", "What a device writes to its disk, in a day of one upload a minute.")
_measures("transport", "Deltas over real gRPC on loopback.")


@bench.command()
@_quick("Fewer commits, for a first look.")
@_out
@_json
def simulate(quick: bool, out: Path | None, as_json: bool) -> None:
    """Simulated fleets of 10 to 10,000 devices.

    \b
    Example:
      thinwire bench simulate --quick
    """
    from thinwire.bench import simulate as measured

    rows = measured.run(quick)
    if out is not None:
        measured.write(rows, out, f"thinwire bench simulate{' --quick' if quick else ''}")
    _print(rows, as_json)


@bench.command()
@_quick("One seed and fewer commits, for a first look.")
@_out
@_cells(None)
@_json
def overlap(quick: bool, out: Path | None, cells: Path | None, as_json: bool) -> None:
    """Real fleets on slow links: is a round trip of five rounds hidden, and does it cost accuracy?

    \b
    Example:
      thinwire bench overlap --quick
    """
    from thinwire.bench import overlap as measured
    from thinwire.bench import overlap_page as page

    # Only an exception takes the fleet and its files along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    found = measured.run(quick, cells)
    if out is not None:
        page.write(found, out, f"thinwire bench overlap{' --quick' if quick else ''}")
    if as_json:
        _print([traced.run for traced in found.runs], as_json)
    _print(found.rows, as_json)


@bench.command()
@_quick("Six methods, one seed, the worst setting: ten minutes at most.")
@click.option(
    "--part", "parts", type=click.Choice(["worst", "ablation", "milder", "links"]), multiple=True,
    help="These tables only; may be repeated.",
)  # fmt: skip
@click.option("--seed", "seeds", type=click.IntRange(1), multiple=True, help="These seeds only; may be repeated.")
@click.option("--method", "methods", multiple=True, help="These methods only; may be repeated.")
@_jobs
@_cells("simulated/delayed")
@click.option("--stored", is_flag=True, help="Run nothing: tables of the runs that are there.")
@_out
@_json
def delayed(
    quick: bool, parts: tuple[str, ...], seeds: tuple[int, ...], methods: tuple[str, ...], jobs: int, cells: Path,
    stored: bool, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Time to one accuracy on CIFAR-10, for every method, on thin links. Needs `thinwire data fetch cifar10`.

    \b
    Examples:
      thinwire bench delayed --quick --jobs 2
      thinwire bench delayed --part worst --method fedyogi --method delayed-dynamic --seed 4 --seed 5
    """
    from thinwire.bench import delayed as measured
    from thinwire.cli.progress import progress

    size, chosen = (measured.QUICK, ()) if quick else (measured.FULL, parts or measured.PARTS)
    size = dataclasses.replace(size, seeds=seeds or size.seeds)
    asked = [one for part in chosen for one in measured.places(size, part)] or measured.quick_places(size)
    if methods:
        asked = measured.of_methods(asked, methods)
    with progress() as told:
        folder = cells / ("quick" if quick else "full")
        entries = measured.measure(asked, size, folder, jobs, told.seen, told.finished, only_stored=stored)
    if out is not None:
        options = [*(["--quick"] if quick else []), *(f"--part {part}" for part in parts)]
        options += [*(f"--seed {seed}" for seed in seeds), *(f"--method {method}" for method in methods)]
        measured.write(entries, size, out, " ".join(["thinwire bench delayed", *options]))
    _print(entries, as_json)


@bench.command()
@_quick("One seed and fewer rounds: ten minutes at most.")
@click.option(
    "--part", "parts", type=click.Choice(["omniglot", "cifar10"]), multiple=True,
    help="These fleets only; may be repeated.",
)  # fmt: skip
@_jobs
@_cells("simulated/rate")
@_out
@_json
def rate(quick: bool, parts: tuple[str, ...], jobs: int, cells: Path, out: Path | None, as_json: bool) -> None:
    """What a dynamic update rate saves, and whether it beats a fixed one of the same bytes.

    Writers as devices (omniglot), and pictures shared out unevenly; these need `thinwire data fetch cifar10`.

    \b
    Example:
      thinwire bench rate --quick --part omniglot
    """
    from thinwire.bench import rate as measured
    from thinwire.cli.progress import progress

    size = measured.QUICK if quick else measured.FULL
    asked = [part for name, part in measured.PARTS.items() if name in (parts or measured.PARTS)]
    with progress() as told:
        folder = cells / ("quick" if quick else "full")
        entries, histories = measured.measure(asked, size, folder, jobs, told.seen, told.finished)
    if out is not None:
        options = (" --quick" if quick else "") + "".join(f" --part {part}" for part in parts)
        measured.write(entries, histories, size, out, f"thinwire bench rate{options}")
    _print(entries, as_json)
    _print(measured.verdicts(entries), as_json)


@bench.command()
@click.argument("task", default="watch")
@click.option("--steps", type=click.IntRange(1), default=1200, show_default=True, help="Steps of the optimiser.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def centralised(task: str, steps: int, as_json: bool) -> None:
    """Train TASK dense and in one place: what a perfect network would reach."""
    from thinwire.bench.centralised import run

    _print(run(task, steps), as_json)


def _print(rows: Sequence[Any], as_json: bool) -> None:
    records = [dataclasses.asdict(row) for row in rows]
    if as_json:
        for record in records:
            click.echo(json.dumps(record))
    else:
        tables.show(tables.of_records(records))
