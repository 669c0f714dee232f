"""Tables: drawn by rich on a terminal, aligned columns everywhere else.

Plain when stdout is no terminal, when NO_COLOR is set, or when rich is not installed (a device has no need of it).
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text, under their columns' names; without names it is a list of facts."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def plain(self) -> str:
        """Aligned columns, two spaces apart."""
        lines = [self.columns, *self.rows] if self.columns else list(self.rows)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )


def of_records(records: Sequence[Mapping[str, object]]) -> Table:
    """A table with a column for each key of the first record."""
    columns = list(records[0]) if records else []
    return Table(columns, [[_cell(record[column]) for column in columns] for record in records])


def show(table: Table) -> None:
    """Print a table in the way that the reader can use."""
    if not (sys.stdout.isatty() and not os.environ.get("NO_COLOR") and _draw(table)):
        click.echo(table.plain())


def _draw(table: Table) -> bool:
    """Draw it with rich, if rich is there."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table as Drawn
        from rich.text import Text
    except ModuleNotFoundError:
        return False
    drawn = Drawn(box=box.SIMPLE_HEAD, show_header=bool(table.columns), header_style="bold", pad_edge=False)
    for name in table.columns or [""] * len(table.rows[0]):
        drawn.add_column(name)
    for row in table.rows:
        # As Text, for a device's name is no markup.
        drawn.add_row(*map(Text, row))
    Console().print(drawn)
    return True


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
