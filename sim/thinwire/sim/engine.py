"""Where the runs of a comparison are done. Their rows are the same wherever that is: a cell decides them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from thinwire.common.errors import ThinwireError
from thinwire.common.history import History, Row
from thinwire.sim.cell import Cell, run_cell
from thinwire.sim.workers import spread

Seen = Callable[[Cell, Row], None]
Begun = Callable[[Cell], None]
Result = tuple[Cell, History | ThinwireError]


class Engine(Protocol):
    """Who runs cells."""

    def run(self, cells: Sequence[Cell], begun: Begun, seen: Seen) -> Iterator[Result]:
        """Each cell with its history, as each is done; one that fails has its error there, and ends no other.

        `begun` hears of each cell that is begun, `seen` of each measured row if they are run in this very process.
        Whoever closes the iterator, or is interrupted in it, leaves nothing running.
        """


@dataclass(frozen=True, slots=True)
class Processes:
    """As many processes of this machine as there are jobs; for one job, this process."""

    jobs: int

    def run(self, cells: Sequence[Cell], begun: Begun, seen: Seen) -> Iterator[Result]:
        """See Engine."""
        return _here(cells, begun, seen) if self.jobs == 1 or len(cells) < 2 else self._there(cells, begun)

    def _there(self, cells: Sequence[Cell], begun: Begun) -> Iterator[Result]:
        run: Callable[[Cell], History | ThinwireError] = run_cell
        places = spread(
            run, cells, self.jobs, begun=lambda place: begun(cells[place]), instead=lambda place, error: error
        )
        for place, result in places:
            yield cells[place], result


HERE = Processes(1)


def _here(cells: Sequence[Cell], begun: Begun, seen: Seen) -> Iterator[Result]:
    for cell in cells:
        begun(cell)
        yield cell, _attempt(cell, seen)


def _attempt(cell: Cell, seen: Seen) -> History | ThinwireError:
    try:
        return run_cell(cell, lambda row: seen(cell, row))
    except ThinwireError as error:
        return error
