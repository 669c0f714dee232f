"""What corrects client drift is seen where devices differ in curvature, and changes nothing where they do not."""

import numpy as np
import pytest

from thinwire.sim.cell import Cell, run_cell
from thinwire.sim.learners import Quadratic, Vector
from thinwire.sim.lessons import Bowls
from thinwire.sim.settings import read_scenario
from thinwire.trainer.course import Learner

# Long rounds of few devices, all of them in each.
ROUNDS = """
[[fleet]]
devices = 5
link = "none"
step = "10ms"
[task]
id = "quadratic"
params = {{ size = 20, curvature_spread = {spread} }}
[training]
algorithm = "{algorithm}"
learning_rate = 0.05
local_steps = 50
[aggregation]
min_devices = 5
quorum = 1.0
[stop]
max_commits = 60
"""


def accuracies(algorithm: str, spread: float) -> list[float | None]:
    scenario = read_scenario(ROUNDS.format(algorithm=algorithm, spread=spread))
    return [row.accuracy for row in run_cell(Cell(scenario, "all", 1)).rows]


def test_the_fleet_s_optimum_is_where_plain_descent_on_all_bowls_ends() -> None:
    bowls = Bowls(4, 3, size=6, curvature_spread=1.0)
    weights_P = np.zeros(6, np.float32)
    for _ in range(500):
        weights_P = np.mean([stepped(bowls.learner(number), weights_P) for number in range(4)], axis=0)
    assert bowls.measure(weights_P, np.zeros(0, np.float32))["accuracy"] == pytest.approx(1.0, abs=1e-4)


def stepped(learner: Learner, weights_P: Vector) -> Vector:
    assert isinstance(learner, Quadratic)
    learner.weights_P, learner.learning_rate = weights_P.copy(), np.float32(0.3)
    learner.step()
    return learner.weights_P


def test_fedavg_ends_beside_the_optimum_and_scaffold_at_it() -> None:
    fedavg, scaffold = (accuracies(algorithm, 1.0)[-1] or 0.0 for algorithm in ("fedavg", "scaffold"))
    assert fedavg < 0.9
    assert scaffold > 0.99


def test_with_one_curvature_for_all_there_is_nothing_to_correct() -> None:
    assert accuracies("scaffold", 0.0) == pytest.approx(accuracies("fedavg", 0.0), abs=1e-5)
