"""How far many simulated runs are: a line that moves on a terminal, lines elsewhere; on stderr, stdout is results."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from thinwire.common.errors import ThinwireError

if TYPE_CHECKING:
    from thinwire.common.history import History, Row
    from thinwire.sim.cell import Cell

# Where no line can move, a run that takes long says so often that it lives.
SIGN_OF_LIFE_S = 30.0
MOST_NAMED = 3


class Progress:
    """What is told of runs; `say` prints a line for good, `show` one that the next replaces."""

    def __init__(self, say: Callable[[str], None], show: Callable[[str], None], cells: int | None = None) -> None:
        # Those done are kept; of those that failed there is nothing.
        self.done, self.unable = 0, 0
        self._say, self._show, self._cells = say, show, cells
        self._running: list[str] = []

    def found(self, there: int, replaced: "Sequence[Cell]") -> None:
        """So many runs were done before; these are there as well, but of something else."""
        self.done = there
        if there:
            self._say(f"{there} of {self._cells} runs were there already (same settings and versions)")
        if replaced:
            named = ", ".join(cell.file for cell in replaced[:MOST_NAMED])
            more = f" and {len(replaced) - MOST_NAMED} more" if len(replaced) > MOST_NAMED else ""
            self._say(f"made with other settings, versions or code, so run anew and replaced: {named}{more}")

    def begun(self, cell: "Cell") -> None:
        """A run has begun."""
        self._running.append(_name(cell))
        self._show(f"{self._place(self._ended + 1)} {'; '.join(self._running)}: under way")

    def seen(self, cell: "Cell", row: "Row") -> None:
        """A version was measured."""
        self._show(
            f"{self._place(self._ended + 1)} {_name(cell)}: {row.time_s:.0f} s of virtual time, version {row.version}, "
            f"accuracy {row.accuracy or 0.0:.3f}"
        )

    def finished(self, cell: "Cell", history: "History") -> None:
        """A run is done, and kept."""
        assert history.end is not None
        self.done += 1
        last = history.measured[-1].accuracy if history.measured else None
        accuracy = f", accuracy {last:.3f}" if last is not None else ""
        wall = f"{history.end.time_s:.0f} s of virtual time in {history.end.wall_s:.0f} s"
        self._over(cell, f"{history.end.reason}{accuracy}; {wall}")

    def failed(self, cell: "Cell", error: ThinwireError) -> None:
        """A run could not be done."""
        self.unable += 1
        self._over(cell, f"failed: {str(error).splitlines()[0]}")

    def _over(self, cell: "Cell", what: str) -> None:
        if _name(cell) in self._running:
            self._running.remove(_name(cell))
        self._say(f"{self._place(self._ended)} {_name(cell)}: {what}")
        if self._running:
            self._show(f"{self._place(self._ended + 1)} {'; '.join(self._running)}: under way")
        else:
            self._show("")

    @property
    def _ended(self) -> int:
        return self.done + self.unable

    def _place(self, number: int) -> str:
        return f"[{number}/{self._cells}]" if self._cells else f"[{number}]"


@contextmanager
def progress(cells: int | None = None) -> Iterator[Progress]:
    """Tell of so many runs, or of as many as there are."""
    if not sys.stderr.isatty():
        yield Progress(_line, _now_and_then(_line), cells)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    with console.status("starting") as status:
        yield Progress(
            lambda line: console.print(line, highlight=False, markup=False),
            lambda line: status.update(Text(line)), cells,
        )  # fmt: skip


def _line(line: str) -> None:
    click.echo(line, err=True)


def _now_and_then(show: Callable[[str], None]) -> Callable[[str], None]:
    told_at = -SIGN_OF_LIFE_S + time.monotonic()

    def maybe(line: str) -> None:
        nonlocal told_at
        if line and time.monotonic() - told_at >= SIGN_OF_LIFE_S:
            told_at = time.monotonic()
            show(line)

    return maybe


def _name(cell: "Cell") -> str:
    return f"{cell.under}, {cell.method}, seed {cell.seed}" if cell.under else f"{cell.method}, seed {cell.seed}"
