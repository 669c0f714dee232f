"""Runs what the grid asks for, each run once, and reads from the histories when the target was reached.

Synchronous dense methods learn the same on every link, only later: their rounds are run once without a link, and their
first rounds again on each link. Those must be made of as many deltas and bytes and measure the same, and they give the
time that a round takes there (`timing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from thinwire.bench.delayed import grid, links, methods
from thinwire.bench.delayed.grid import Asked, Size
from thinwire.bench.delayed.links import Link
from thinwire.bench.delayed.scenarios import scenario_of
from thinwire.bench.delayed.timing import reached, retimed
from thinwire.common.history import History, Row
from thinwire.sim.cell import Cell
from thinwire.sim.compare import run_cells, stored
from thinwire.sim.engine import Processes
from thinwire.sim.outcome import final_accuracy

TARGET_SHARE = 0.95
PROBED_ROUNDS = 4

Seen = Callable[[Cell, Row], None]
Finished = Callable[[Cell, History], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one run came to; `units` and bytes are None where the target was not reached in `until` units."""

    alpha: str
    round_trip: float
    dense: float
    method: str
    seed: int
    target: float
    units: float | None
    bytes_up: int | None
    bytes_down: int | None
    best: float
    until: float
    delay_steps: float
    density: float


def measure(
    asked: Sequence[Asked], size: Size, folder: Path, jobs: int = 1, seen: Seen = lambda cell, row: None,
    finished: Finished = lambda cell, history: None, *, only_stored: bool = False,
) -> list[Entry]:  # fmt: skip
    """An entry for each place of the table; what `folder` has already is not run again.

    With `only_stored` nothing is run: places whose runs are not all there have no entry.
    """

    def run(cells: Sequence[Cell]) -> list[History]:
        return run_cells(cells, folder, Processes(jobs), seen, finished)

    def there(cells: Sequence[Cell]) -> bool:
        return all(stored(cell, folder) for cell in cells)

    if only_stored:
        asked = [one for one in asked if there(_references(one.alpha, size))]
    targets = _targets(asked, size, run)
    if only_stored:
        asked = [one for one in asked if there(list(_cells(one, size, targets[one.alpha])))]
    cells = [cell for one in asked for cell in _cells(one, size, targets[one.alpha])]
    distinct = list({(cell.scenario.name, cell.method, cell.seed): cell for cell in cells}.values())
    found = {}
    for cell, history in zip(distinct, run(distinct), strict=True):
        found[(cell.scenario.name, cell.method, cell.seed)] = history
    # A place may be in several tables; it is one entry.
    return [_entry(one, targets[one.alpha], found) for one in dict.fromkeys(asked)]


def _references(alpha: str, size: Size) -> list[Cell]:
    scenario = scenario_of(
        size, alpha, links.NEAR, methods.REFERENCE, target=0.0, most_commits=size.reference_rounds
    )
    return [Cell(scenario, "fedavg", seed, f"reference/{alpha}") for seed in grid.reference_seeds(size, alpha)]


def _targets(asked: Sequence[Asked], size: Size, run: Callable[[Sequence[Cell]], list[History]]) -> dict[str, float]:
    """By setting: a share of what synchronous dense FedAvg reaches, the mean over its seeds."""
    references = {alpha: _references(alpha, size) for alpha in sorted({one.alpha for one in asked})}
    histories = iter(run([cell for cells in references.values() for cell in cells]))
    return {
        alpha: round(TARGET_SHARE * mean(final_accuracy(next(histories)) or 0.0 for _ in cells), 4)
        for alpha, cells in references.items()
    }


def _cells(one: Asked, size: Size, target: float) -> Iterator[Cell]:
    if not one.method.lockstep:
        yield _cell(one, size, target, one.link)
        return
    yield _cell(one, size, target, links.NEAR)
    if one.link != links.NEAR:
        yield _cell(one, size, 0.0, one.link, PROBED_ROUNDS)


def _cell(one: Asked, size: Size, target: float, link: Link, most_commits: int = 0) -> Cell:
    scenario = scenario_of(size, one.alpha, link, one.method, target=target, most_commits=most_commits)
    return Cell(scenario, one.method.name, one.seed, scenario.name)


def _entry(one: Asked, target: float, found: dict[tuple[str, str, int], History]) -> Entry:
    name, seed = one.method.name, one.seed
    if one.method.lockstep:
        history = found[(f"{one.alpha}/{links.NEAR}", name, seed)]
        probe = found[(f"{one.alpha}/{one.link}", name, seed)]
        when = retimed(history, probe, one.link.rate_bps)
    else:
        history = found[(f"{one.alpha}/{one.link}", name, seed)]
        when = {row.version: row.time_s for row in history.rows}
    row = reached(history, target)
    densities = [density for row in history.rows for density in row.density.values()]
    return Entry(
        one.alpha, one.link.round_trip, one.link.dense, name, seed, target,
        units=when[row.version] / links.UNIT_S if row else None,
        bytes_up=row.bytes_up if row else None,
        bytes_down=row.bytes_down if row else None,
        best=max((row.accuracy or 0.0 for row in history.measured), default=0.0),
        until=when[history.rows[-1].version] / links.UNIT_S,
        delay_steps=history.rows[-1].delay_steps,
        density=mean(densities) if densities else 0.0,
    )  # fmt: skip
