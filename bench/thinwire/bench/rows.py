"""What a benchmark says: one figure a row, with what it is held against and whether that was reached."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import click
from rich import box
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    bench: str
    name: str
    value: float
    unit: str
    reference: str  # how it was measured, or what others reach
    target: float | None  # None: for information only
    met: bool | None


def at_most(bench: str, name: str, value: float, unit: str, reference: str, target: float) -> Row:
    """A figure that should be small."""
    return Row(bench, name, value, unit, reference, target, value <= target)


def at_least(bench: str, name: str, value: float, unit: str, reference: str, target: float) -> Row:
    """A figure that should be large."""
    return Row(bench, name, value, unit, reference, target, value >= target)


def told(bench: str, name: str, value: float, unit: str, reference: str) -> Row:
    """A figure without a target."""
    return Row(bench, name, value, unit, reference, None, None)


def table(rows: Sequence[Row]) -> Table:
    """Lay the rows out for a terminal."""
    laid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("what", "value", "", "target", "", "measured on"):
        laid.add_column(heading, justify="right" if heading in ("value", "target") else "left", overflow="fold")
    for row in rows:
        target = "" if row.target is None else f"{row.target:g}"
        mark = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[row.met]
        laid.add_row(row.name, f"{row.value:,.4g}", row.unit, target, mark, row.reference)
    return laid


def to_json(rows: Sequence[Row]) -> str:
    """Write the rows for a machine, an object a line."""
    return "\n".join(json.dumps(asdict(row)) for row in rows)


def show(rows: Sequence[Row], as_json: bool) -> None:
    """Print the rows."""
    if as_json:
        click.echo(to_json(rows))
    else:
        Console().print(table(rows))


def main(run: Callable[[bool], list[Row]]) -> None:
    """Run one benchmark from the command line."""

    @click.command()
    @click.option("--quick", is_flag=True, help="A tenth of the size, for a first look.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def command(quick: bool, as_json: bool) -> None:
        show(run(quick), as_json)

    command()


def over_seeds(
    group: str, name: str, values: list[float], unit: str, source: str,
    *, most: float | None = None, least: float | None = None,
) -> Row:  # fmt: skip
    """The median over seeds, with the least and the largest; it may have to be small or large."""
    about = f"{source}; {len(values)} seeds: {min(values):.3g} to {max(values):.3g}"
    if most is not None:
        return at_most(group, name, median(values), unit, about, most)
    if least is not None:
        return at_least(group, name, median(values), unit, about, least)
    return told(group, name, median(values), unit, about)
