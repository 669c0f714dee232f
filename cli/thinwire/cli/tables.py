"""Tables: drawn by rich on a terminal, aligned columns everywhere else.

Plain when stdout is no terminal, when NO_COLOR is set, or when rich is not installed (a device has no need of it).
A figure is never cut or broken: on a narrow terminal columns that can be spared are left out, and long words wrap.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

GAP = 2  # blanks between columns
# A column with a longer cell holds sentences: it may wrap, down to this width.
SENTENCE = 40
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text, under their columns' names; without names it is a list of facts."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def plain(self) -> str:
        """Aligned columns, two spaces apart."""
        return "\n".join(
            (GAP * " ").join(cell.ljust(width) for cell, width in zip(line, self.widths, strict=True)).rstrip()
            for line in self._lines
        )

    @property
    def widths(self) -> list[int]:
        """The widest cell of each column."""
        return [max(map(len, column)) for column in zip(*self._lines, strict=True)]

    @property
    def least_width(self) -> int:
        """The width in which every figure stands whole."""
        widths = [min(width, SENTENCE) for width in self.widths]
        return sum(widths) + GAP * max(0, len(widths) - 1)

    def within(self, width: int, spare: Sequence[str]) -> "tuple[Table, list[str]]":
        """As many columns as fit, and who was left out: `spare`, first to go first, but empty ones before."""
        can_go = sorted((name for name in spare if name in self.columns), key=lambda name: not self._empty(name))
        table, gone = self, list[str]()
        while table.least_width > width and can_go:
            gone.append(can_go.pop(0))
            table = self._without(gone)
        return table, [name for name in self.columns if name in gone]

    @property
    def _lines(self) -> list[Sequence[str]]:
        return [self.columns, *self.rows] if self.columns else list(self.rows)

    def _empty(self, name: str) -> bool:
        place = list(self.columns).index(name)
        return all(row[place] == NOTHING for row in self.rows)

    def _without(self, gone: Sequence[str]) -> "Table":
        kept = [place for place, name in enumerate(self.columns) if name not in gone]
        return Table([self.columns[place] for place in kept], [[row[place] for place in kept] for row in self.rows])


def of_records(records: Sequence[Mapping[str, object]]) -> Table:
    """A table with a column for each key of the first record."""
    columns = list(records[0]) if records else []
    return Table(columns, [[_cell(record[column]) for column in columns] for record in records])


def show(table: Table, spare: Sequence[str] = ()) -> None:
    """Print a table in the way that the reader can use; a narrow terminal gets it without the columns of `spare`."""
    gone: list[str] = []
    if sys.stdout.isatty():
        table, gone = table.within(shutil.get_terminal_size().columns, spare)
    if not (sys.stdout.isatty() and not os.environ.get("NO_COLOR") and _draw(table)):
        click.echo(table.plain())
    if gone:
        click.echo(f"left out, for the window is narrow: {', '.join(gone)}; --json has everything", err=True)


def _draw(table: Table) -> bool:
    """Draw it with rich, if rich is there."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table as Drawn
        from rich.text import Text
    except ModuleNotFoundError:
        return False
    drawn = Drawn(
        box=box.SIMPLE_HEAD, show_edge=False, padding=(0, GAP - 1, 0, 0), pad_edge=False,
        show_header=bool(table.columns), header_style="bold",
    )  # fmt: skip
    for name, width in zip(table.columns or [""] * len(table.widths), table.widths, strict=True):
        drawn.add_column(name, min_width=min(width, SENTENCE), no_wrap=width <= SENTENCE)
    for row in table.rows:
        # As Text, for a device's name is no markup.
        drawn.add_row(*map(Text, row))
    # What does not fit is broken by the terminal between lines, which is better than figures without their ends.
    Console(width=max(shutil.get_terminal_size().columns, table.least_width)).print(drawn)
    return True


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
