"""Which runs the rate's table is made of: two fleets, dense averaging, the policies, and how long each runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thinwire.sim.cell import Cell
from thinwire.sim.settings import read_scenario

DENSE = "fedavg"
# The names of the policies are those of `density.policy`.
POLICIES = ("temporal", "spatial", "spatio-temporal")
UP = 0.07


@dataclass(frozen=True, slots=True)
class Part:
    """One fleet and what it learns; `marks` are the loss's gains in a window below and above which rates change."""

    name: str
    title: str
    task: str
    devices: int
    local_steps: int
    learning_rate: float
    marks: tuple[float, float]


# Where devices begin knowing nothing of 242 characters, the loss falls by a tenth in a window: marks are around that.
PARTS: Mapping[str, Part] = {
    part.name: part
    for part in (
        Part(
            "omniglot", "Omniglot, a device has 8 writers", 'id = "omniglot"',
            devices=20, local_steps=5, learning_rate=0.3, marks=(0.05, 0.1),
        ),
        Part(
            "cifar10", "CIFAR-10, Dirichlet 0.1",
            'id = "cifar10"\nparams = { size = "small", batch_size = 10, test_examples = 2000, '
            'partition = "dirichlet", alpha = 0.1 }',
            devices=10, local_steps=10, learning_rate=0.05, marks=(0.005, 0.03),
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """Rounds of the dense baseline and of everything that is sparse, and the seeds.

    What is sparse lags behind by some rounds, as what is not sent yet waits in residuals; so it has a quarter more of
    them. Its bytes count all of its rounds, and its accuracy at the baseline's rounds is told, too.
    """

    dense_rounds: int
    rounds: int
    seeds: tuple[int, ...]


FULL = Size(dense_rounds=128, rounds=160, seeds=(1, 2, 3))
QUICK = Size(dense_rounds=32, rounds=40, seeds=(1,))


def dense(part: Part, size: Size, seed: int) -> Cell:
    """Everything, in float32, both ways, in every round."""
    return _cell(part, DENSE, _toml(part, size.dense_rounds, DENSE, 'training.algorithm = "fedavg"'), seed)


def dynamic(part: Part, size: Size, policy: str, seed: int) -> Cell:
    """One policy."""
    return _cell(part, policy, dynamic_toml(part, size, policy), seed)


def dynamic_toml(part: Part, size: Size, policy: str) -> str:
    """A policy's scenario, within bounds that keep both directions below a twentieth of dense averaging's bytes."""
    plateau, progress = part.marks
    settings = f"""{_density(UP)}
density.policy = "{policy}"
density.min = 0.05
density.max = 0.09
density.ladder = [0.09, {UP}, 0.05]
density.window = 5
density.plateau = {plateau}
density.progress = {progress}"""
    return _toml(part, size.rounds, policy, settings)


def fixed(part: Part, size: Size, density: float, seed: int) -> Cell:
    """One rate throughout; the same baseline serves two policies whose bytes ask for the same."""
    name = f"fixed-{density:g}"
    return _cell(part, name, _toml(part, size.rounds, name, _density(density)), seed)


def _density(up: float) -> str:
    return f'training.algorithm = "fedavg-topk"\ndensity.up = {up:g}\ndensity.down = {2 * up:g}'


def _cell(part: Part, method: str, toml: str, seed: int) -> Cell:
    scenario = read_scenario(toml, origin=f"the rate's table, {method}", name=f"rate/{part.name}")
    return Cell(scenario, method, seed, part.name)


def _toml(part: Part, rounds: int, method: str, settings: str) -> str:
    return f"""
[simulation]
until = "100d"
[[fleet]]
devices = {part.devices}
link = "none"
step = "100ms"
[task]
{part.task}
[training]
local_steps = {part.local_steps}
learning_rate = {part.learning_rate}
[aggregation]
min_devices = {part.devices}
deadline = "1d"
[evaluation]
every_commits = 4
[stop]
max_commits = {rounds}
[methods."{method}"]
{settings}
"""
