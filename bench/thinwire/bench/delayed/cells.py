"""Runs what the grid asks for, each run once, and reads from the histories when the target was reached.

Synchronous dense methods learn the same on every link, only later: their rounds are run once without a link, and their
first rounds again on each link. Those must be made of as many deltas and measure the same, and they give the time that
a round takes there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from thinwire.bench.delayed import grid
from thinwire.bench.delayed.grid import Asked, Link, Size
from thinwire.common.errors import ThinwireError
from thinwire.common.history import History, Row
from thinwire.sim.cell import Cell
from thinwire.sim.compare import run_cells
from thinwire.sim.outcome import final_accuracy

TARGET_SHARE = 0.95
PROBED_ROUNDS = 4
PATIENCE = 2
ROUNDING = 0.005  # in accuracy, of sums that were added in another order

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


class DelayedError(ThinwireError):
    """Two runs that should agree do not."""


def measure(
    asked: Sequence[Asked], size: Size, folder: Path, jobs: int = 1, seen: Seen = lambda cell, row: None,
    finished: Finished = lambda cell, history: None,
) -> list[Entry]:  # fmt: skip
    """An entry for each place of the table; what `folder` has already is not run again."""

    def run(cells: Sequence[Cell]) -> list[History]:
        return run_cells(cells, folder, jobs, seen, finished)

    targets = _targets(asked, size, run)
    cells = [cell for one in asked for cell in _cells(one, size, targets[one.alpha])]
    distinct = list({(cell.scenario.name, cell.method, cell.seed): cell for cell in cells}.values())
    found = {}
    for cell, history in zip(distinct, run(distinct), strict=True):
        found[(cell.scenario.name, cell.method, cell.seed)] = history
    # A place may be in several tables; it is one entry.
    return [_entry(one, targets[one.alpha], found) for one in dict.fromkeys(asked)]


def _targets(asked: Sequence[Asked], size: Size, run: Callable[[Sequence[Cell]], list[History]]) -> dict[str, float]:
    """By setting: a share of what synchronous dense FedAvg reaches, the mean over its seeds."""
    wanted = [
        (alpha, seed) for alpha in sorted({one.alpha for one in asked}) for seed in grid.reference_seeds(size, alpha)
    ]
    cells = [
        Cell(
            grid.scenario(
                size, alpha, grid.NEAR, grid.METHODS["fedavg"], target=0.0, most_commits=size.reference_rounds
            ), "fedavg", seed, f"reference/{alpha}",
        )
        for alpha, seed in wanted
    ]  # fmt: skip
    reached: dict[str, list[float]] = {}
    for (alpha, _), history in zip(wanted, run(cells), strict=True):
        reached.setdefault(alpha, []).append(final_accuracy(history) or 0.0)
    return {alpha: round(TARGET_SHARE * mean(figures), 4) for alpha, figures in reached.items()}


def _cells(one: Asked, size: Size, target: float) -> Iterator[Cell]:
    if not one.method.lockstep:
        yield _cell(one, size, target, one.link)
        return
    yield _cell(one, size, target, grid.NEAR)
    if one.link != grid.NEAR:
        yield _cell(one, size, 0.0, one.link, PROBED_ROUNDS)


def _cell(one: Asked, size: Size, target: float, link: Link, most_commits: int = 0) -> Cell:
    scenario = grid.scenario(size, one.alpha, link, one.method, target=target, most_commits=most_commits)
    return Cell(scenario, one.method.name, one.seed, scenario.name)


def _entry(one: Asked, target: float, found: dict[tuple[str, str, int], History]) -> Entry:
    name, seed = one.method.name, one.seed
    if one.method.lockstep:
        history = found[(f"{one.alpha}/{grid.NEAR}", name, seed)]
        probe = found[(f"{one.alpha}/{one.link}", name, seed)]
        when = retimed(history, probe)
    else:
        history = found[(f"{one.alpha}/{one.link}", name, seed)]
        when = {row.version: row.time_s for row in history.rows}
    row = reached(history, target)
    densities = [density for row in history.rows for density in row.density.values()]
    return Entry(
        one.alpha, one.link.round_trip, one.link.dense, name, seed, target,
        units=when[row.version] / grid.UNIT_S if row else None,
        bytes_up=row.bytes_up if row else None,
        bytes_down=row.bytes_down if row else None,
        best=max((row.accuracy or 0.0 for row in history.measured), default=0.0),
        until=when[history.rows[-1].version] / grid.UNIT_S,
        delay_steps=history.rows[-1].delay_steps,
        density=mean(densities) if densities else 0.0,
    )  # fmt: skip


def reached(history: History, target: float) -> Row | None:
    """The first of the measurements in a row, as many as the coordinator's patience, at or above the target."""
    above = 0
    for place, row in enumerate(history.measured):
        above = above + 1 if (row.accuracy or 0.0) >= target else 0
        if above == PATIENCE:
            return history.measured[place - PATIENCE + 1]
    return None


def retimed(history: History, probe: History) -> dict[int, float]:
    """When each version of a synchronous run was there, on the link of the probe."""
    for row, probed in zip(history.rows, probe.rows, strict=False):
        if not _same(row, probed):
            raise DelayedError(
                f"{history.header.method}, seed {history.header.seed}: version {row.version} differs between a run"
                f" without a link and one on {probe.header.link}; such a method cannot be timed by its first rounds"
            )
    first, last = probe.rows[0], probe.rows[-1]
    round_s = (last.time_s - first.time_s) / (last.version - first.version)
    known = {row.version: row.time_s for row in probe.rows}
    return {
        row.version: known.get(row.version, last.time_s + (row.version - last.version) * round_s)
        for row in history.rows
    }  # fmt: skip


def _same(row: Row, probed: Row) -> bool:
    """Whether the same deltas made both; they came in another order, so that the last bits of their sums differ."""
    measured = row.accuracy is not None and probed.accuracy is not None
    alike = not measured or abs((row.accuracy or 0.0) - (probed.accuracy or 0.0)) <= ROUNDING
    return (row.version, row.deltas, row.staleness) == (probed.version, probed.deltas, probed.staleness) and alike
