"""What a whole fleet learns in one process: a real task on one shared model, or a quadratic bowl for speed.

A simulated device owns vectors, never a torch module: before a step its weights are copied into the one module there
is, and the optimiser then moves the device's own vector by the module's gradient.

Shapes: P parameters, B non-trainable statistics.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from thinwire.common.errors import TaskError
from thinwire.common.settings import CoordinatorSettings
from thinwire.common.settings.names import shown
from thinwire.sim.learners import Quadratic
from thinwire.sim.memory import refuse_too_large
from thinwire.tasks import task_path
from thinwire.trainer.course import Learner

Vector = NDArray[np.float32]
MOST_SIZE = 10_000_000


class Lesson(Protocol):
    """What the devices of one run learn."""

    def learner(self, number: int) -> Learner:
        """A fresh learner of device `number`, at the first model."""

    def measure(self, weights_P: Vector, buffers_B: Vector) -> dict[str, float]:
        """How good a model is; "accuracy" is what targets and plots look for."""


def lesson_of(settings: CoordinatorSettings, devices: int, seed: int) -> Lesson:
    """The lesson that a method's [task] names, for this many devices."""
    if settings.task.id == "quadratic" and "quadratic" not in settings.tasks:
        return _quadratic(settings.task.params, devices, seed)
    return _real(task_path(settings.task.id, settings.tasks), settings.task.params, devices, seed)


# -- the bowl --------------------------------------------------------------------------------------------------


class Bowls:
    """Each device has a bowl of its own, with its own lowest point; the fleet's is the lowest of their mean.

    `spread` is how far the devices' points are apart, as a multiple of how far the first model is from their mean;
    `condition` how much steeper the steepest direction is than the flattest. `curvature_spread` is how much devices
    differ in each curvature, the deviation of its logarithm. With 0 their local steps drift apart by nothing that their
    mean would keep, so what corrects drift (Karimireddy et al., 2020) changes nothing.
    """

    def __init__(
        self, devices: int, seed: int, *, size: int = 100, spread: float = 1.0, condition: float = 10.0,
        curvature_spread: float = 0.0,
    ) -> None:  # fmt: skip
        draw = np.random.Generator(np.random.PCG64(seed))
        self._curvature_P = np.geomspace(1.0, 1.0 / condition, size).astype(np.float32)
        common_P = draw.normal(size=size)
        self._goal_NP = (common_P + spread * draw.normal(size=(devices, size))).astype(np.float32)
        self._goal_P = self._goal_NP.mean(axis=0, dtype=np.float64)
        self._curvature_NP = np.broadcast_to(self._curvature_P, self._goal_NP.shape)
        if curvature_spread:
            factor_NP = np.exp(curvature_spread * draw.normal(size=self._goal_NP.shape))
            self._curvature_NP = (self._curvature_P * factor_NP).astype(np.float32)
            self._curvature_P = self._curvature_NP.mean(axis=0)
            self._goal_P = np.average(self._goal_NP, axis=0, weights=self._curvature_NP.astype(np.float64))

    def learner(self, number: int) -> Learner:
        """A learner at the origin."""
        return Quadratic(self._goal_NP[number], self._curvature_NP[number])

    def measure(self, weights_P: Vector, buffers_B: Vector) -> dict[str, float]:
        """The loss over the fleet's lowest, and as accuracy the share of the way there."""
        with np.errstate(over="ignore", invalid="ignore"):
            miss_P = weights_P - self._goal_P
            way = float(np.linalg.norm(miss_P) / np.linalg.norm(self._goal_P))
            return {"accuracy": max(0.0, 1.0 - way), "loss": float(np.sum(self._curvature_P * miss_P**2)) / 2}


def _quadratic(params: Mapping[str, Any], devices: int, seed: int) -> Bowls:
    known = [name for name in inspect.signature(Bowls).parameters if name not in ("devices", "seed")]
    for name in params:
        if name not in known:
            raise TaskError(f'task "quadratic" has no parameter {name!r}; it takes {", ".join(known)}')
    problems = list(_wrong(params))
    if problems:
        raise TaskError(f'task "quadratic": {"; ".join(problems)}')
    refuse_too_large(devices, params.get("size", 1))
    return Bowls(devices, seed, **params)


def _wrong(params: Mapping[str, Any]) -> Iterator[str]:
    size = params.get("size", 1)
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST_SIZE:
        yield f"size is {shown(size)}; it must be a whole number from 1 to {MOST_SIZE}"
    for name, least in (("spread", 0), ("condition", 1), ("curvature_spread", 0)):
        figure = params.get(name, least)
        if isinstance(figure, bool) or not isinstance(figure, int | float) or figure < least:
            yield f"{name} is {shown(figure)}; it must be a number, {least} or more"


# -- real tasks ------------------------------------------------------------------------------------------------


def _real(path: str, params: Mapping[str, object], devices: int, seed: int) -> Lesson:
    # torch takes two seconds to come; a quadratic has no use for it.
    from thinwire.sim.torch_lesson import TorchLesson

    return TorchLesson(path, params, devices, seed)
