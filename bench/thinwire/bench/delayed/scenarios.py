"""A place of the delayed table as a scenario for the simulator."""

from __future__ import annotations

from thinwire.bench.delayed.grid import EVEN, Size
from thinwire.bench.delayed.links import DEVICES, LOCAL_STEPS, LONG, STEP_S, UNIT_S, Link
from thinwire.bench.delayed.methods import DRIFT, LEARNING_RATE, Method
from thinwire.common.drift import LONG_MEMORY, strongest
from thinwire.sim.settings import Scenario, read_scenario


def scenario_of(
    size: Size, alpha: str, link: Link, method: Method, *, target: float, most_commits: int = 0
) -> Scenario:
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
    return f"correction.drift = {min(DRIFT, strongest(window))}\ncorrection.drift_memory = {LONG_MEMORY}"


def _commits_a_round(method: Method) -> int:
    return {"fedasync": DEVICES, "fedbuff": 4}.get(method.name, 1)


def _evaluated_every(method: Method) -> int:
    return 3 * _commits_a_round(method)
