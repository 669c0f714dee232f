"""Which runs the delayed table is made of: methods, links, how unlike the devices' data are, and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thinwire.bench.delayed.links import FAR, LATENCY, WITH_BANDWIDTH, Link
from thinwire.bench.delayed.methods import ABLATIONS, METHODS, OURS, Method
from thinwire.common.errors import SettingsError
from thinwire.common.settings.names import nearest

# The worst setting, where the bar is; then the milder ones.
WORST, MIDDLE, EVEN = "0.1", "0.5", "iid"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run: rounds of the reference, most rounds or units of a run, and the seeds."""

    reference_rounds: int
    most_rounds: int
    most_units: int
    test_examples: int
    references: tuple[int, ...]  # the seeds that make the worst setting's target, whatever is run
    seeds: tuple[int, ...]


# The tables in the order in which they tell most; each can be run by itself.
PARTS = ("worst", "ablation", "milder", "links")


@dataclass(frozen=True, slots=True)
class Asked:
    """One place of a table."""

    alpha: str
    link: Link
    method: Method
    seed: int


FULL = Size(
    reference_rounds=120, most_rounds=200, most_units=250, test_examples=2000, references=(1, 2, 3), seeds=(1, 2, 3)
)
QUICK = Size(reference_rounds=40, most_rounds=120, most_units=130, test_examples=2000, references=(1,), seeds=(1,))


def reference_seeds(size: Size, alpha: str) -> tuple[int, ...]:
    """The seeds whose mean makes a setting's target, whatever part of the tables is run."""
    return size.references if alpha == WORST else size.references[:1]


def quick_places(size: Size) -> list[Asked]:
    """A few methods in the worst setting."""
    few = ("fedavg", "fedbuff", "dga", "fedavg-topk", "dpga", OURS)
    return [Asked(WORST, FAR, METHODS[name], size.seeds[0]) for name in few]


def places(size: Size, part: str) -> list[Asked]:
    """What one part of the tables shows."""
    first, methods = size.seeds[0], tuple(METHODS.values())
    match part:
        case "worst":
            return [Asked(WORST, FAR, method, seed) for seed in size.seeds for method in methods]
        case "ablation":
            ours = (METHODS[OURS], *ABLATIONS.values())
            return [Asked(WORST, FAR, method, first) for method in ours]
        case "milder":
            return [Asked(alpha, FAR, method, first) for alpha in (MIDDLE, EVEN) for method in methods]
        case _:
            grid = (*WITH_BANDWIDTH, *LATENCY)
            return [Asked(WORST, link, method, first) for link in grid for method in methods]


def of_methods(asked: Sequence[Asked], names: Sequence[str]) -> list[Asked]:
    """The places of these methods; raise SettingsError for one that has none."""
    there = list(dict.fromkeys(one.method.name for one in asked))
    for name in names:
        if name not in there:
            close = nearest(name, there)
            hint = f"; did you mean {close!r}?" if close else ""
            raise SettingsError(f"these tables have no method {name!r}, but {', '.join(there)}{hint}")
    return [one for one in asked if one.method.name in names]
