"""Which runs the delayed table is made of: methods, links, how unlike the devices' data are, and seeds.

Time is in units: one unit is what a device needs for the ten local steps between two deltas, K * tau. A link is its
round trip and the time that a dense float32 model takes on it, each way, both in units; so a row says nothing about any
one machine, and a device of half the speed on a link of half the speed has the same row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from thinwire.common.drift import LONG_MEMORY, SHORT_ROUNDS
from thinwire.sim.settings import Scenario, read_scenario

DEVICES, LOCAL_STEPS, STEP_S = 10, 10, 0.1
UNIT_S = LOCAL_STEPS * STEP_S
PARAMETERS = 54_250  # of the small network for CIFAR-10
DENSE_BITS = 32 * PARAMETERS


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """A round trip, and a dense model's transfer time each way, in units."""

    round_trip: float
    dense: float

    def __str__(self) -> str:
        return f"rtt-{self.round_trip:g}-dense-{self.dense:g}"

    @property
    def rate_bps(self) -> float:
        """Bits a second, each way."""
        return DENSE_BITS / (self.dense * UNIT_S) if self.dense else 1e12

    @property
    def setting(self) -> str:
        """What a scenario's fleet calls it."""
        if not self.round_trip and not self.dense:
            return "none"
        return f"{self.round_trip * UNIT_S:g}s,{self.rate_bps:.0f}bit"

    def window(self, density: float) -> int:
        """Deltas on their way that fill the link and no more; those of `density` take about 7 bits a parameter kept."""
        transfer = self.dense * (1.0 if density == 1.0 else density * 7 / 32)
        return 1 + math.ceil((self.round_trip + 2 * transfer) / max(1.0, transfer))


NEAR = Link(0, 0)
FAR = Link(5, 10)
WITH_BANDWIDTH = (Link(20, 10), Link(5, 1))
LATENCY = (Link(5, 0), Link(10, 0), NEAR)
# From this round trip on, what overlaps is given twice the time.
LONG = 20

# The worst setting, where the bar is; then the milder ones.
WORST, MIDDLE, EVEN = "0.1", "0.5", "iid"


@dataclass(frozen=True, slots=True)
class Method:
    """A method and its settings, as in a scenario file."""

    name: str
    settings: str
    # Synchronous and dense: what is learned does not depend on the link, only when.
    lockstep: bool = False
    dense: bool = True
    overlaps: bool = False
    drifts: bool = False  # with the drift correction, as strong as its window bears


# Each method has the better of two learning rates on the first seed, this one and half of it; so has the server of
# fedadam and fedyogi. The drift correction and the rate of our arm were chosen on seeds 7 and 8.
LEARNING_RATE = 0.1
SLOWER = f"training.learning_rate = {LEARNING_RATE / 2}"
SERVER = "aggregation.server_learning_rate = 0.01"
DRIFT = 0.25
METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method("fedavg", f'training.algorithm = "fedavg"\n{SLOWER}', lockstep=True),
        Method("fedprox", f'training.algorithm = "fedprox"\n{SLOWER}', lockstep=True),
        Method("scaffold", f'training.algorithm = "scaffold"\n{SLOWER}', lockstep=True),
        Method("fedadam", f'training.algorithm = "fedadam"\n{SLOWER}\n{SERVER}', lockstep=True),
        Method("fedyogi", f'training.algorithm = "fedyogi"\n{SLOWER}\n{SERVER}', lockstep=True),
        Method("fedasync", 'training.algorithm = "fedasync"'),
        Method("fedbuff", 'training.algorithm = "fedbuff"\naggregation.buffer = 3'),
        Method("dga", 'training.algorithm = "dga"', overlaps=True),
        Method("diloco-delayed", 'training.algorithm = "diloco-delayed"', overlaps=True),
        Method("fedavg-topk", 'training.algorithm = "fedavg-topk"', dense=False),
        Method("dpga", 'training.algorithm = "dpga"\ndensity.up = 0.1\ndensity.down = 0.1', dense=False, overlaps=True),
        Method(
            "delayed-dynamic",
            f'training.algorithm = "delayed-dynamic"\n{SLOWER}\ndensity.max = 0.1\ndensity.ladder = [0.1, 0.05, 0.02]',
            dense=False,
            overlaps=True,
            drifts=True,
        ),
    )
}
# What makes the targets, at the first of the two rates for every run.
REFERENCE = Method("fedavg", 'training.algorithm = "fedavg"', lockstep=True)
OURS = "delayed-dynamic"
_OURS = METHODS[OURS].settings


def _without(what: str, settings: str, *, overlaps: bool = True, drifts: bool = True) -> Method:
    return Method(what, f"{_OURS}\n{settings}", dense=False, overlaps=overlaps, drifts=drifts)


# Our arm with one part changed or switched off, all else as it is.
ABLATIONS: Mapping[str, Method] = {
    method.name: method
    for method in (
        _without("omega-overwrite", 'training.omega = "overwrite"'),
        _without("omega-dga", 'training.omega = "dga"'),
        _without("residual-keep", 'correction.residual = "keep"'),
        _without("drift-off", "", drifts=False),
        _without("rate-fixed", 'density.policy = "fixed"\ndensity.up = 0.05\ndensity.down = 0.1'),
        _without("values-fp32", 'density.values = "fp32"\ndensity.values_down = "fp32"'),
        _without("down-dense", "density.down = 1.0"),
        _without("no-overlap", "training.overlap = false", overlaps=False),
        _without(
            "server-yogi",
            'aggregation.server_optimizer = "yogi"\naggregation.server_learning_rate = 0.01\n'
            "aggregation.server_momentum = 0.9",
        ),
    )
}
DENSE_SYNCHRONOUS = tuple(name for name, method in METHODS.items() if method.lockstep)


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


def scenario(size: Size, alpha: str, link: Link, method: Method, *, target: float, most_commits: int = 0) -> Scenario:
    """One method on one link; `target` 0 is none. It ends at the target, or where the size says."""
    turns = 1 if method.overlaps else 1 + link.round_trip + 2 * link.dense
    patience = 2 if method.overlaps and link.round_trip >= LONG else 1
    until = (patience * size.most_units if method.overlaps else size.most_rounds * turns + 2 * turns) * UNIT_S
    sharing = 'partition = "iid"' if alpha == EVEN else f'partition = "dirichlet", alpha = {alpha}'
    window = link.window(1.0 if method.dense else 0.3)
    text = f"""
[simulation]
until = "{until:g}s"
[[fleet]]
devices = {DEVICES}
link = "{link.setting}"
step = "{STEP_S * 1000:g}ms"
[task]
id = "cifar10"
params = {{ size = "small", batch_size = 10, test_examples = {size.test_examples}, {sharing} }}
[training]
local_steps = {LOCAL_STEPS}
learning_rate = {LEARNING_RATE}
window = {window}
[aggregation]
min_devices = {DEVICES}
buffer = {DEVICES}
weights = "examples"
max_staleness = 1000
[evaluation]
every_commits = {_evaluated_every(method)}
[stop]
target_accuracy = {target:.4f}
max_commits = {most_commits or patience * size.most_rounds * _commits_a_round(method)}
[methods.{method.name}]
{method.settings}
{_correction(window) if method.drifts else ""}
"""
    return read_scenario(text, origin=f"the delayed table's {method.name}", name=f"{alpha}/{link}")


def _correction(window: int) -> str:
    strength = math.floor(100 * min(DRIFT, SHORT_ROUNDS / window)) / 100
    return f"correction.drift = {strength}\ncorrection.drift_memory = {LONG_MEMORY}"


def _commits_a_round(method: Method) -> int:
    return {"fedasync": DEVICES, "fedbuff": 4}.get(method.name, 1)


def _evaluated_every(method: Method) -> int:
    return 3 * _commits_a_round(method)
