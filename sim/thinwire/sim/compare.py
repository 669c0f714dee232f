"""All cells of a scenario, by an engine that runs one or several at a time; what is done already is not done again.

    FOLDER/METHOD/seed-N.jsonl      a history a cell, there whole or not at all
    FOLDER/accuracy-*.svg, .png     the plots
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thinwire.common.errors import ThinwireError
from thinwire.common.history import History, HistoryError, read_history, write_history
from thinwire.sim.cell import Cell
from thinwire.sim.engine import HERE, Engine, Seen
from thinwire.sim.settings import Scenario

Finished = Callable[[Cell, History], None]


class CellsFailedError(ThinwireError):
    """Runs that could not be done; `histories` are those of all others, which are kept."""

    def __init__(self, failures: Sequence[tuple[Cell, ThinwireError]], histories: Sequence[History]) -> None:
        seeds: dict[tuple[str, str], list[int]] = {}
        for cell, error in failures:
            seeds.setdefault((cell.method, str(error)), []).append(cell.seed)
        told = [
            f"{method}, seed{'s' if len(them) > 1 else ''} {', '.join(map(str, sorted(them)))}: {message}"
            for (method, message), them in seeds.items()
        ]
        head = f"{len(failures)} of {len(failures) + len(histories)} runs failed"
        super().__init__("\n".join([f"{head}, the others are kept" if histories else head, *told]))
        self.histories = list(histories)


@dataclass(frozen=True, slots=True)
class News:
    """Who hears what: before anything runs, how many runs are there and which are made anew; what begins, and fails."""

    found: Callable[[int, Sequence[Cell]], None] = lambda there, replaced: None
    begun: Callable[[Cell], None] = lambda cell: None
    failed: Callable[[Cell, ThinwireError], None] = lambda cell, error: None


def cells_of(scenario: Scenario, methods: Sequence[str] = (), seeds: Sequence[int] = ()) -> list[Cell]:
    """The cells of a scenario, or those of the methods and seeds that are asked for, each once."""
    chosen, drawn = dict.fromkeys(methods or scenario.methods), dict.fromkeys(seeds or scenario.simulation.seeds)
    return [Cell(scenario, method, seed) for seed in drawn for method in chosen]


def stored(cell: Cell, folder: Path) -> History | None:
    """The history of a cell that ran before, to its end, with the same settings and the same versions."""
    history = _whole(cell, folder)
    return history if history is not None and _same(cell, history) else None


def run_cells(
    cells: Sequence[Cell], folder: Path, engine: Engine = HERE, seen: Seen = lambda cell, row: None,
    finished: Finished = lambda cell, history: None, news: News = News(),
) -> list[History]:  # fmt: skip
    """The histories of all cells, in their order; each is written to `folder` as soon as it is there.

    A cell that fails keeps no other from running; raise CellsFailedError when all that can be done is done.
    """
    whole = {cell.file: history for cell in cells if (history := _whole(cell, folder)) is not None}
    found = {cell.file: whole[cell.file] for cell in cells if cell.file in whole and _same(cell, whole[cell.file])}
    missing = [cell for cell in cells if cell.file not in found]
    news.found(len(cells) - len(missing), [cell for cell in missing if cell.file in whole])
    failures: list[tuple[Cell, ThinwireError]] = []
    for cell, result in engine.run(missing, news.begun, seen):
        try:
            found[cell.file] = _kept(cell, result, folder)
        except ThinwireError as error:
            failures.append((cell, error))
            news.failed(cell, error)
        else:
            finished(cell, found[cell.file])
    histories = [found[cell.file] for cell in cells if cell.file in found]
    if failures:
        raise CellsFailedError(failures, histories)
    return histories


def _kept(cell: Cell, result: History | ThinwireError, folder: Path) -> History:
    if isinstance(result, ThinwireError):
        raise result
    assert result.end is not None
    write_history(folder / cell.file, result.header, result.rows, result.end)
    return result


def _whole(cell: Cell, folder: Path) -> History | None:
    path = folder / cell.file
    if not path.exists():
        return None
    try:
        history = read_history(path)
    except HistoryError:
        return None
    return history if history.end is not None else None


def _same(cell: Cell, history: History) -> bool:
    return history.header.fingerprint == cell.header().fingerprint
