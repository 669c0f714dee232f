"""The evaluator's child: what it says of a model must be heard, whatever the model is worth."""

import math

import torch

from thinwire.bench.line import Line
from thinwire.common.frames import FrameReader, encode
from thinwire.server.evaluate import Bench
from thinwire.server.evaluator import FROM_EVALUATOR, Describe, Measure, Measured


class Astray(Line):
    """Its model has gone so far astray that its loss is no number."""

    def evaluate(self, model: torch.nn.Module) -> dict[str, float]:
        return {"accuracy": 0.1, "loss": math.nan, "perplexity": math.inf}


def test_figures_that_are_not_finite_are_left_out_and_the_others_are_heard() -> None:
    bench = Bench()
    _, values = bench.answer(Describe(task=f"{__name__}:Astray", params={}, seed=1), b"")
    answer = encode(*bench.answer(Measure(version=3), values))
    heard = [frame for frame, _ in FrameReader(FROM_EVALUATOR).feed(answer)]
    assert heard == [Measured(version=3, metrics={"accuracy": 0.1})]
