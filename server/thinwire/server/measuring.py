"""What the core wants measured goes to the evaluator's process, one model at a time, and comes back as an event."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from thinwire.common.errors import TaskError
from thinwire.server.effects import Evaluate
from thinwire.server.evaluator import Evaluator
from thinwire.server.events import Evaluated
from thinwire.server.metrics import CoordinatorMetrics

log = logging.getLogger("thinwire.server")


class Measuring:
    """The models that wait to be measured; without an evaluator each comes back with nothing known of it."""

    def __init__(
        self, evaluator: Evaluator | None, metrics: CoordinatorMetrics, submit: Callable[[Evaluated], Awaitable[object]]
    ) -> None:
        self._evaluator, self._metrics, self._submit = evaluator, metrics, submit
        self._wanted: asyncio.Queue[Evaluate] = asyncio.Queue()

    def want(self, model: Evaluate) -> None:
        """Have this model measured, after those that wait."""
        self._wanted.put_nowait(model)

    async def keep_measuring(self) -> None:
        """Measure what is wanted, until cancelled."""
        while True:
            wanted = await self._wanted.get()
            metrics = await self._measure(wanted, self._evaluator) if self._evaluator else {}
            if "accuracy" in metrics:
                self._metrics.quality.set(metrics["accuracy"])
            log.info("evaluated", extra={"version": wanted.version, **metrics})
            await self._submit(Evaluated(wanted.version, metrics))

    async def _measure(self, wanted: Evaluate, evaluator: Evaluator) -> dict[str, float]:
        metrics: dict[str, float] = {}
        began = time.perf_counter()
        try:
            metrics = await evaluator.measure(wanted.version, wanted.weights_P, wanted.buffers_B)
        except TaskError as error:
            log.error("evaluation failed", extra={"version": wanted.version, "reason": str(error)})
        self._metrics.evaluate.observe(time.perf_counter() - began)
        return metrics
