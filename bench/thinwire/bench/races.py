"""Time to an accuracy behind a round trip of 600 ms against that without: the same seed, one after the other.

A run ends when two evaluations in a row have reached the target. Accuracies on the way are told besides: what a delay
costs is about the same number of seconds at each, so the later an accuracy comes, the less it matters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from thinwire.bench.linked import LOCAL_STEPS, RATE_BPS, Plan, Traced, of
from thinwire.bench.rows import Row, over_seeds
from thinwire.common.link import LinkProfile

NEAR, FAR = LinkProfile(0.0, RATE_BPS), LinkProfile(0.6, RATE_BPS)
DEVICES = 10
SLOWEST = 1.1


@dataclass(frozen=True, slots=True)
class Race:
    """A task, what is set for it, and the accuracies that are timed."""

    task: str
    sets: tuple[str, ...]
    on_the_way: tuple[float, ...]
    target: float
    seeds: int

    @property
    def name(self) -> str:
        """What its runs are called."""
        return f"accuracy of {self.task}"


DIGITS = Race(
    "mnist",
    ('task.params.partition="dirichlet"', "task.params.alpha=0.5", "task.params.batch_size=16",
     "task.params.test_examples=2000", "evaluation.every_commits=3"),
    (0.9, 0.93, 0.95), 0.96, seeds=12,
)  # fmt: skip
# The demo's own settings. It comes to its target slowly: seeds on one and the same link differ by half and more.
WATCHES = Race(
    "watch",
    ("training.learning_rate=0.1", "density.up=0.03", "density.down=0.05", "aggregation.buffer=3"),
    (0.7, 0.75), 0.8, seeds=6,
)  # fmt: skip
RACES = (DIGITS, WATCHES)


def plans(step_s: float, most_seeds: int | None) -> Iterable[Plan]:
    """Every race, each of its seeds, both links."""
    for race in RACES:
        for seed, link in itertools.product(range(1, race.seeds + 1)[:most_seeds], (NEAR, FAR)):
            yield Plan(
                what=race.name, task=race.task, link=link, seed=seed, devices=DEVICES, step_s=step_s,
                local_steps=LOCAL_STEPS, sets=(*race.sets, f"stop.target_accuracy={race.target}"),
            )  # fmt: skip


def rows(runs: list[Traced]) -> Iterable[Row]:
    """What they come to; the targets have a bar."""
    for race in RACES:
        for accuracy in race.on_the_way:
            yield from _compared(runs, race, accuracy)
        yield from _compared(runs, race, race.target, most=SLOWEST)


def _compared(runs: list[Traced], race: Race, accuracy: float, most: float | None = None) -> Iterable[Row]:
    near, far = ([_seconds_to(accuracy, race, traced) for traced in of(runs, race.name, link)] for link in (NEAR, FAR))
    ratios = [slow / fast for fast, slow in zip(near, far, strict=True)]
    source, what = f"{DEVICES} devices", f"{race.name}, {accuracy:g}"
    yield over_seeds("overlap", f"{what}: 0 ms", near, "s", source)
    yield over_seeds("overlap", f"{what}: 600 ms", far, "s", source)
    yield over_seeds("overlap", f"{what}: 600 ms against 0 ms", ratios, "x", source, most=most)


def _seconds_to(accuracy: float, race: Race, traced: Traced) -> float:
    """At the target a run ends, once its newest model has it; what is below counts from its second evaluation."""
    on_the_way_s = traced.reached_s(accuracy) if accuracy < race.target else None
    return traced.run.wall_s if on_the_way_s is None else on_the_way_s
