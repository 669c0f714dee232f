"""Runs what the grid asks for, finds the fixed rate of the same bytes, and reads from the histories what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from thinwire.bench.rate import grid
from thinwire.bench.rate.grid import Part, Size
from thinwire.common.history import History, Row
from thinwire.sim.cell import Cell
from thinwire.sim.compare import run_cells
from thinwire.sim.engine import Processes
from thinwire.sim.outcome import LAST

# A fixed rate is near enough when its bytes are within this of those asked for.
CLOSE = 0.01

Seen = Callable[[Cell, Row], None]
Finished = Callable[[Cell, History], None]
Run = Callable[[Sequence[Cell]], list[History]]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one run came to. Accuracies are means of five measurements, the last ones; `accuracy_then` those until the
    last round of dense averaging, of which everything sparse has more.

    `like` is the policy that a fixed rate is the baseline of, and `ratio` its bytes over that policy's, same seed;
    `share` is of all bytes of dense averaging. `overtakes` is the share of them that was sent when the run was measured
    to be as good as dense averaging is in the end, for the first time; None if it never was. `moved` is whether a
    policy's rates changed once its ladder is done, or were others for one group than for another.
    """

    part: str
    method: str
    like: str
    seed: int
    density: float
    rounds: int
    steps: int
    bytes_up: int
    bytes_down: int
    share: float
    ratio: float
    overtakes: float | None
    moved: bool
    accuracy: float
    accuracy_then: float
    device_accuracy: float
    device_accuracy_worst: float


def measure(
    parts: Sequence[Part], size: Size, folder: Path, jobs: int = 1, seen: Seen = lambda cell, row: None,
    finished: Finished = lambda cell, history: None,
) -> tuple[list[Entry], list[History]]:  # fmt: skip
    """All runs and their histories; what `folder` has already is not run again."""

    def run(cells: Sequence[Cell]) -> list[History]:
        return run_cells(cells, folder, Processes(jobs), seen, finished)

    entries: list[Entry] = []
    found: list[History] = []
    for part in parts:
        for entry, history in _part(part, size, run):
            entries.append(entry)
            found.append(history)
    return entries, found


def _part(part: Part, size: Size, run: Run) -> Iterator[tuple[Entry, History]]:
    seeds, policies = size.seeds, grid.POLICIES
    # Together, so that several can run at a time.
    cells = [grid.dense(part, size, seed) for seed in seeds]
    cells += [grid.dynamic(part, size, policy, seed) for policy in policies for seed in seeds]
    histories = run(cells)
    dense, rest = histories[: len(seeds)], histories[len(seeds) :]
    for history, base in zip(dense, dense, strict=True):
        yield _entry(part, history, base, base), history
    for place, policy in enumerate(policies):
        ours = rest[place * len(seeds) : (place + 1) * len(seeds)]
        density = equal_density(part, size, ours, run)
        baseline = run([grid.fixed(part, size, density, seed) for seed in seeds])
        for history, base, other in zip(ours, dense, baseline, strict=True):
            yield replace(_entry(part, history, base, history), moved=moved(history, other)), history
        for history, base, own in zip(baseline, dense, ours, strict=True):
            yield _entry(part, history, base, own, policy), history


def equal_density(part: Part, size: Size, ours: Sequence[History], run: Run) -> float:
    """The fixed rate whose run sends as many bytes as these do on average; at most one run is only for finding it."""
    wanted = mean(total(history.rows[-1]) for history in ours)
    guess = _rounded(mean(mean_density(history) for history in ours))
    probe = run([grid.fixed(part, size, guess, size.seeds[0])])[0]
    sent = total(probe.rows[-1])
    if abs(sent / wanted - 1) <= CLOSE:
        return guess
    # What joining costs does not depend on the rate; the rest is about proportional to it.
    joining = 2 * total(probe.rows[0]) - total(probe.rows[1])
    return _rounded(guess * (wanted - joining) / (sent - joining))


def total(row: Row) -> int:
    """Bytes until this version, both directions."""
    return row.bytes_up + row.bytes_down


def mean_density(history: History) -> float:
    """The mean share of the parameters in a delta."""
    shares = [share for row in history.rows for share in row.density.values()]
    return mean(shares) if shares else 0.0


def last_mean(history: History, name: str, until: int | None = None) -> float:
    """A measure at the end of a run, or of its rounds `until` some version: the mean of the last measurements."""
    measured = [row for row in history.measured if until is None or row.version <= until]
    return mean(row.metrics.get(name, 0.0) for row in measured[-LAST:])


def moved(ours: History, baseline: History) -> bool:
    """Whether a policy was more than a fixed rate.

    Over time: its mean rate changed in the last three quarters of the rounds, when a ladder is done. In space: it did
    not change at all, and yet the models are others than those of its baseline, for groups had rates of their own.
    """
    shares = [share for row in ours.rows for share in row.density.values()]
    later = shares[len(shares) // 4 :]
    if max(shares) <= (1 + CLOSE) * min(shares):
        return [row.checksum for row in ours.rows] != [row.checksum for row in baseline.rows]
    return max(later) > (1 + CLOSE) * min(later)


def _rounded(density: float) -> float:
    return float(f"{min(1.0, density):.3g}")


def _entry(part: Part, history: History, dense: History, equal: History, like: str = "") -> Entry:
    header, last, whole = history.header, history.rows[-1], total(dense.rows[-1])
    goal = last_mean(dense, "accuracy")
    reached = next((row for row in history.measured if (row.accuracy or 0.0) >= goal), None)
    return Entry(
        part=part.name, method=header.method, like=like, seed=header.seed, density=mean_density(history),
        rounds=last.version, steps=part.devices * part.local_steps * last.version,
        bytes_up=last.bytes_up, bytes_down=last.bytes_down, share=total(last) / whole,
        ratio=total(last) / total(equal.rows[-1]), overtakes=total(reached) / whole if reached else None,
        moved=False, accuracy=last_mean(history, "accuracy"),
        accuracy_then=last_mean(history, "accuracy", dense.rows[-1].version),
        device_accuracy=last_mean(history, "device_accuracy"),
        device_accuracy_worst=last_mean(history, "device_accuracy_worst"),
    )  # fmt: skip
