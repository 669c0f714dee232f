"""All cells of a scenario, one after another or several at once; what is done already is not done again.

    FOLDER/METHOD/seed-N.jsonl      a history a cell, there whole or not at all
    FOLDER/accuracy-*.svg, .png     the plots
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from thinwire.common.history import History, HistoryError, Row, read_history, write_history
from thinwire.sim.cell import Cell, run_cell
from thinwire.sim.settings import Scenario
from thinwire.sim.workers import spread

Seen = Callable[[Cell, Row], None]
Finished = Callable[[Cell, History], None]


def cells_of(scenario: Scenario, methods: Sequence[str] = (), seeds: Sequence[int] = ()) -> list[Cell]:
    """The cells of a scenario, or those of the methods and seeds that are asked for, each once."""
    chosen, drawn = dict.fromkeys(methods or scenario.methods), dict.fromkeys(seeds or scenario.simulation.seeds)
    return [Cell(scenario, method, seed) for seed in drawn for method in chosen]


def stored(cell: Cell, folder: Path) -> History | None:
    """The history of a cell that ran before, to its end, with the same settings and the same versions."""
    path = folder / cell.file
    if not path.exists():
        return None
    try:
        history = read_history(path)
    except HistoryError:
        return None
    same = history.header.fingerprint == cell.header().fingerprint
    return history if same and history.end is not None else None


def run_cells(
    cells: Sequence[Cell], folder: Path, jobs: int = 1, seen: Seen = lambda cell, row: None,
    finished: Finished = lambda cell, history: None,
) -> list[History]:  # fmt: skip
    """The histories of all cells, in their order; each is written to `folder` as soon as it is there."""
    found = {cell.file: history for cell in cells if (history := stored(cell, folder)) is not None}
    missing = [cell for cell in cells if cell.file not in found]
    for cell, history in _run(missing, jobs, seen):
        found[cell.file] = history
        finished(cell, history)
        assert history.end is not None
        write_history(folder / cell.file, history.header, history.rows, history.end)
    return [found[cell.file] for cell in cells]


def _run(cells: Sequence[Cell], jobs: int, seen: Seen) -> Iterator[tuple[Cell, History]]:
    if jobs == 1 or len(cells) < 2:
        for cell in cells:
            yield cell, run_cell(cell, lambda row, cell=cell: seen(cell, row))  # type: ignore[misc]
        return
    for place, history in spread(run_cell, cells, jobs):
        yield cells[place], history
