"""Waiting for the disk: what was decided is carried out in order, each when all that was written before it is safe.

Many decisions share one sync, in a thread of its own, so that a slow disk never stops the streams. On a full disk what
was written waits in memory, nothing that depends on it is told, and no event is taken until there is room. After an
error nothing is told any more: what the disk holds then, only a new start can know.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from thinwire.common.errors import DiskError
from thinwire.server.effects import Effect
from thinwire.server.metrics import CoordinatorMetrics
from thinwire.server.recorder import Checkpoint, Decided, Recorder

log = logging.getLogger("thinwire.server")
T = TypeVar("T")

# How often a full disk is looked at again.
ROOM_EVERY_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """Decided, but not yet told."""

    decided: Decided
    carried_out: asyncio.Future[None]


class Safety:
    """The line of effects that wait for one recorder's journal; `perform` carries one out.

    `order` and `thread` are those in which the recorder takes events.
    """

    def __init__(
        self,
        recorder: Recorder,
        metrics: CoordinatorMetrics,
        perform: Callable[[Effect], None],
        order: asyncio.Lock,
        thread: ThreadPoolExecutor,
    ) -> None:
        self._recorder, self._metrics, self._perform = recorder, metrics, perform
        self._order, self._thread = order, thread
        self._disk = ThreadPoolExecutor(1, "journal")
        self._line: deque[Waiting] = deque()
        self._syncing: asyncio.Task[None] | None = None
        self._checkpointing: asyncio.Task[None] | None = None
        self._failed = asyncio.Event()
        self.failure: Exception | None = None
        self.room = asyncio.Event()
        self.room.set()

    @property
    def full(self) -> bool:
        """Whether the journal's disk is full, so that nothing new can be accepted."""
        return not self.room.is_set()

    def wait(self, decided: Decided) -> Waiting:
        """Put effects in line; in the order in which they were decided."""
        waiting = Waiting(decided, asyncio.get_running_loop().create_future())
        self._line.append(waiting)
        if self.failure is not None:
            return waiting
        if self._recorder.journal is None:
            self._carry_out(decided.after)
        elif self._syncing is None:
            self._syncing = asyncio.create_task(self._sync(), name="sync")
        if self._recorder.full and self.room.is_set():
            self.room.clear()
            log.error("state.dir is full: deltas wait until there is room; models are still served")
        return waiting

    def fail(self, error: Exception) -> None:
        """Tell nothing from here on, and let `watch` raise this; the first error stands.

        What was written is not known any more, and asking again would only hide it.
        """
        self.failure = self.failure or error
        self._failed.set()

    async def watch(self) -> None:
        """Look at a full disk again, until cancelled; raise what keeps the coordinator from going on."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ROOM_EVERY_S):
                    await self._failed.wait()
            if self.failure is not None:
                raise self.failure
            if self.full:
                await self._try_again()

    async def close(self) -> None:
        """Make everything safe and let go of the journal."""
        with suppress(DiskError):
            await _in(self._disk, self._recorder.sync)
        if self._checkpointing is not None:
            await asyncio.gather(self._checkpointing, return_exceptions=True)
        if self._recorder.journal is not None:
            self._recorder.journal.close()

    async def _sync(self) -> None:
        recorder = self._recorder
        try:
            upto = -1
            while self._line and not (recorder.full and self._line[0].decided.after > upto >= 0):
                began = time.perf_counter()
                upto = await _in(self._disk, recorder.sync)
                self._metrics.sync.observe(time.perf_counter() - began)
                self._carry_out(upto)
                self._write_checkpoint()
        except Exception as error:
            self.fail(error)
        finally:
            self._syncing = None

    def _carry_out(self, upto: int) -> None:
        while self._line and self._line[0].decided.after <= upto:
            waiting = self._line.popleft()
            for effect in waiting.decided.effects:
                self._perform(effect)
            if not waiting.carried_out.done():
                waiting.carried_out.set_result(None)

    def _write_checkpoint(self) -> None:
        due = self._recorder.take_checkpoint()
        if due is not None and (self._checkpointing is None or self._checkpointing.done()):
            self._checkpointing = asyncio.create_task(self._checkpoint(due), name="checkpoint")

    async def _checkpoint(self, due: Checkpoint) -> None:
        assert self._recorder.journal is not None
        began = time.perf_counter()
        try:
            await asyncio.to_thread(self._recorder.journal.checkpoint, due.number, due.frozen, due.vectors)
        except Exception as error:
            log.error("no checkpoint, a restart will take longer: %s", error)
        self._metrics.checkpoint.observe(time.perf_counter() - began)

    async def _try_again(self) -> None:
        async with self._order:
            try:
                written = await _in(self._thread, self._recorder.retry)
            except DiskError as error:
                self.fail(error)
                return
            if written:
                log.info("state.dir has room again")
                self.room.set()
                self.wait(Decided([], self._recorder.last))


async def _in(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, work)
