"""What the core wants measured comes back as an event, whatever the evaluator makes of it."""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from thinwire.common.errors import TaskError
from thinwire.server.effects import Evaluate
from thinwire.server.evaluator import Evaluator
from thinwire.server.events import Evaluated
from thinwire.server.measuring import Measuring
from thinwire.server.metrics import CoordinatorMetrics

Vector = NDArray[np.float32]


class Judge(Evaluator):
    """Knows what version 1 is worth, and fails at any other."""

    def __init__(self) -> None:
        pass

    async def measure(self, version: int, weights_P: Vector, buffers_B: Vector) -> dict[str, float]:
        if version != 1:
            raise TaskError("no test data")
        return {"accuracy": float(weights_P[0])}


def wanted(version: int) -> Evaluate:
    return Evaluate(version, np.full(1, 0.5, np.float32), np.zeros(0, np.float32))


@pytest.mark.parametrize(
    ("evaluator", "found"), [(Judge(), [{"accuracy": 0.5}, {}]), (None, [{}, {}])], ids=["judge", "nobody"]
)
async def test_each_comes_back_in_its_turn_with_nothing_known_when_it_could_not_be_measured(
    evaluator: Evaluator | None, found: list[dict[str, float]]
) -> None:
    heard: asyncio.Queue[Evaluated] = asyncio.Queue()
    measuring = Measuring(evaluator, CoordinatorMetrics(), heard.put)
    for version in (1, 2):
        measuring.want(wanted(version))
    keeping = asyncio.create_task(measuring.keep_measuring())
    async with asyncio.timeout(30):
        answers = [await heard.get() for _ in (1, 2)]
    assert answers == [Evaluated(1, found[0]), Evaluated(2, found[1])]
    keeping.cancel()
