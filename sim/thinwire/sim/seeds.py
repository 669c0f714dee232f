"""Many trials: seed after seed on all processors, what they went through, and a line for each that failed."""

from __future__ import annotations

import logging
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from thinwire.sim.points import POINTS
from thinwire.sim.trial import Result, Trial

CHUNK = 25
SHOWN_FAILURES = 20


@dataclass(slots=True)
class Tally:
    """What a range of seeds came to."""

    seeds: int = 0
    steps: int = 0
    versions: int = 0
    accepted: int = 0
    seconds: float = 0.0
    failed: list[tuple[int, str]] = field(default_factory=list)
    reached: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result) -> None:
        """Take one seed's result."""
        self.seeds += 1
        self.steps += result.steps
        self.versions += result.versions
        self.accepted += result.accepted
        if result.violation:
            self.failed.append((result.seed, result.violation))
        self.reached += result.reached
        self.kills += result.kills
        self.faults += result.faults

    def merge(self, other: Tally) -> None:
        """Take what other seeds came to."""
        self.seeds += other.seeds
        self.steps += other.steps
        self.versions += other.versions
        self.accepted += other.accepted
        self.failed += other.failed
        self.reached += other.reached
        self.kills += other.kills
        self.faults += other.faults

    @property
    def never_hit(self) -> list[str]:
        """Points at which nobody died."""
        return [point for point in POINTS if not self.kills[point]]

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        return {
            "schema": "thinwire.chaos.simulate/v1",
            "seeds": self.seeds,
            "steps": self.steps,
            "versions": self.versions,
            "accepted": self.accepted,
            "seconds": round(self.seconds, 3),
            "violations": [{"seed": seed, "what": what} for seed, what in sorted(self.failed)],
            "kills": {point: self.kills[point] for point in sorted({*POINTS, *self.kills})},
            "never_killed_at": self.never_hit,
            "reached": dict(sorted(self.reached.items())),
            "faults": dict(sorted(self.faults.items())),
        }


def sweep(first: int, count: int, jobs: int) -> Tally:
    """Try `count` seeds from `first` on; how far it is goes to standard error."""
    began, total = time.monotonic(), Tally()
    chunks = [range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)]
    for tally in _tried(chunks, jobs):
        total.merge(tally)
        total.seconds = time.monotonic() - began
        _tell(total, tally, count)
    return total


def trace(seed: int) -> Result:
    """Try one seed and tell each fault as it comes, on standard error."""
    with _quiet():
        return Trial(seed, trace=lambda line: print(line, file=sys.stderr)).run()


def failure_line(seed: int, what: str) -> str:
    """What a seed found, and what to type to see it again."""
    return f"seed {seed}: {what}; again: thinwire chaos simulate --seed {seed} --trace"


def _tried(chunks: list[range], jobs: int) -> Iterator[Tally]:
    if jobs == 1:
        yield from map(_try, chunks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(_try, chunks)


def _try(seeds: range) -> Tally:
    tally = Tally()
    with _quiet():
        for seed in seeds:
            tally.add(Trial(seed).run())
    return tally


@contextmanager
def _quiet() -> Iterator[None]:
    # Damaged files are what this is about; each is not news.
    log = logging.getLogger("thinwire")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def _tell(total: Tally, newest: Tally, count: int) -> None:
    for seed, what in newest.failed if len(total.failed) <= SHOWN_FAILURES else []:
        print(failure_line(seed, what), file=sys.stderr)
    if total.seeds % (20 * CHUNK) == 0 or total.seeds == count:
        rate = total.seeds / total.seconds if total.seconds else 0.0
        print(
            f"{total.seeds} of {count} seeds, {total.steps} steps, {sum(total.kills.values())} kills, "
            f"{len(total.failed)} violations, {rate:.1f} seeds/s",
            file=sys.stderr,
        )
