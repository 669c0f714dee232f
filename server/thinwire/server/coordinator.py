"""The core set in asyncio: events go to it one at a time, its effects go to sessions, log, evaluator and metrics.

The core's arithmetic runs in one thread of its own, so a large commit never stops the streams. One lock keeps the
order: an event's effects are carried out before the next event is handled. What was begun is carried through, even
when the stream that brought it breaks meanwhile: a commit that the core has made and nobody keeps could not be sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from thinwire.common.errors import TaskError
from thinwire.common.values import Report, Verdict, Welcome
from thinwire.server import core, reception
from thinwire.server.commits import CommitLog, PackedSnapshot
from thinwire.server.conversation import Conversation, DeviceRecord, plausible
from thinwire.server.evaluator import Evaluator
from thinwire.server.metrics import CoordinatorMetrics

log = logging.getLogger("thinwire.server")
T = TypeVar("T")


class Coordinator:
    """One training run, alive."""

    def __init__(
        self,
        decisions: core.CoordinatorCore,
        welcome: Welcome,
        evaluator: Evaluator | None,
        metrics: CoordinatorMetrics,
    ) -> None:
        self.core, self.welcome, self.metrics = decisions, welcome, metrics
        self.dense_bytes = 4 * (decisions.model.layout.size + decisions.model.buffer_layout.size)
        self.commits = CommitLog(self.dense_bytes)
        self.sessions: dict[str, Conversation] = {}
        self.devices: dict[str, DeviceRecord] = {}
        self.totals = Totals()
        self.open = False
        self.final: core.Finished | None = None
        self.done = asyncio.Event()
        self.started_at: float | None = None
        self.finished_at: float | None = None
        self._evaluator = evaluator
        self._thread = ThreadPoolExecutor(1, "core")
        self._order = asyncio.Lock()
        self._snapshotting = asyncio.Lock()
        self._changed = asyncio.Event()
        self._under_way: set[asyncio.Task[list[core.Effect]]] = set()
        self._evaluations: asyncio.Queue[core.Evaluate] = asyncio.Queue()
        metrics.connected.set_function(lambda: len(self.sessions))
        metrics.known.set_function(lambda: len(self.devices))
        metrics.overlap.set_function(lambda: self.overlap_ratio)
        metrics.wire.labels("up").set_function(lambda: self.wire_bytes()[0])
        metrics.wire.labels("down").set_function(lambda: self.wire_bytes()[1])

    async def run(self) -> None:
        """Tick the core when it asks for it, and evaluate, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick())
            tasks.create_task(self._evaluate())

    async def submit(self, event: core.Event) -> list[core.Effect]:
        """Have the core handle an event and carry out what it decides; the effects are returned too."""
        handling = asyncio.create_task(self._handle(event), name=f"handle {type(event).__name__}")
        self._under_way.add(handling)
        handling.add_done_callback(self._under_way.discard)
        return await asyncio.shield(handling)

    async def _handle(self, event: core.Event) -> list[core.Effect]:
        async with self._order:
            now = asyncio.get_running_loop().time()
            effects = await self._in_thread(lambda: self._timed(event, now))
            for effect in effects:
                self._perform(effect)
        self._changed.set()
        return effects

    async def snapshot(self) -> PackedSnapshot:
        """A snapshot from which the log of commits goes on; a kept one if it still does."""
        async with self._snapshotting:
            if (held := self.commits.usable_snapshot) is not None:
                return held
            async with self._order:
                model, through = self.core.model, self.core.ledger.published()
                frozen = model.freeze()
            made = await asyncio.to_thread(
                PackedSnapshot.of, frozen, model.layout, model.buffer_layout, through
            )
            self.commits.keep(made)
            return made

    def report(self, device: str, report: Report) -> None:
        """Take over a device's own figures."""
        possible = plausible(report)
        self.devices[device].take(possible)
        self.metrics.observe(possible)

    def count_down(self, packed_bytes: int) -> None:
        """A commit or snapshot was sent whole to one device."""
        self.totals.packed_down += packed_bytes
        self.totals.dense_down += self.dense_bytes
        self.metrics.carry("down", raw_bytes=self.dense_bytes, packed_bytes=packed_bytes)

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far; they end with it."""
        if self.started_at is None:
            return 0.0
        return (self.finished_at or time.monotonic()) - self.started_at

    @property
    def overlap_ratio(self) -> float:
        """Share of the transfer time, over all devices, in which their trainers computed."""
        reports = [record.report for record in list(self.devices.values())]
        transfer_s = sum(report.transfer_s for report in reports)
        return sum(report.hidden_s for report in reports) / transfer_s if transfer_s else 0.0

    def wire_bytes(self) -> tuple[int, int]:
        """Bytes up and down on all devices' sockets, as they report them."""
        records = list(self.devices.values())
        return sum(r.wire_sent_bytes for r in records), sum(r.wire_received_bytes for r in records)

    # -- carrying out ------------------------------------------------------------------------------------------

    def _timed(self, event: core.Event, now: float) -> list[core.Effect]:
        began = time.perf_counter()
        effects = self.core.handle(event, now)
        took_s = time.perf_counter() - began
        if any(isinstance(effect, core.Published) for effect in effects):
            self.metrics.commit.observe(took_s)
        elif isinstance(event, core.DeltaSealed):
            self.metrics.admit.observe(took_s)
        return effects

    def _perform(self, effect: core.Effect) -> None:
        match effect:
            case core.Settled():
                self._settle(effect)
            case core.Opened():
                self.open, self.started_at = True, time.monotonic()
                log.info("training begins", extra={"devices": self.core.roster.live})
                self._wake_all()
            case core.Published():
                self._publish(effect)
            case core.Evaluate():
                self._evaluations.put_nowait(effect)
            case core.Finished():
                self.final, self.finished_at = effect, time.monotonic()
                self.metrics.finished.set(1)
                log.info("training is over", extra={"version": effect.version, "reason": effect.reason})
                self._wake_all()
                self.done.set()
            case core.Recognised() | core.Refused():
                pass  # the session that asked answers its own device

    def _settle(self, effect: core.Settled) -> None:
        self.metrics.settle(effect.outcome, repeated=effect.repeated)
        if effect.outcome.verdict is Verdict.ACCEPTED and not effect.repeated:
            self.metrics.staleness.observe(effect.staleness)
            self.metrics.carry("up", raw_bytes=self.dense_bytes, packed_bytes=effect.packed_bytes)
            self.totals.accepted += 1
            self.totals.staleness += effect.staleness
            self.totals.packed_up += effect.packed_bytes
            self.totals.dense_up += self.dense_bytes
        elif not effect.repeated:
            self.totals.rejected += 1
            log.warning("delta rejected", extra={"device": effect.device, "reason": effect.outcome.message})
        if session := self.sessions.get(effect.device):
            session.tell(reception.settled(effect.outcome, self.welcome.plan, self.core.model.version))

    def _publish(self, effect: core.Published) -> None:
        commit = effect.commit
        self.commits.append(commit)
        self.metrics.version.set(commit.version)
        self.metrics.folded.observe(commit.folded)
        self.metrics.delta_density.observe(commit.kept / self.core.model.layout.size)
        self._wake_all()

    def _wake_all(self) -> None:
        for session in self.sessions.values():
            session.wake.set()

    # -- time and evaluation -----------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self.core.deadline):
                    await self._changed.wait()
                    continue
            await self.submit(core.Tick())

    async def _evaluate(self) -> None:
        while True:
            wanted = await self._evaluations.get()
            metrics: dict[str, float] = {}
            if self._evaluator is not None:
                began = time.perf_counter()
                try:
                    metrics = await self._evaluator.measure(
                        wanted.version, wanted.weights_P, wanted.buffers_B
                    )
                except TaskError as error:
                    log.error("evaluation failed", extra={"version": wanted.version, "reason": str(error)})
                self.metrics.evaluate.observe(time.perf_counter() - began)
            if "accuracy" in metrics:
                self.metrics.quality.set(metrics["accuracy"])
            log.info("evaluated", extra={"version": wanted.version, **metrics})
            await self.submit(core.Evaluated(wanted.version, metrics))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class Totals:
    """Counters of one training, for status answers."""

    def __init__(self) -> None:
        self.accepted = self.rejected = self.staleness = 0
        self.packed_up = self.packed_down = self.dense_up = self.dense_down = 0
