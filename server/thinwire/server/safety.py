"""Waiting for the disk: what was decided is carried out in order, each when all that was written before it is safe.

Many decisions share one sync, in a thread of its own, so that a slow disk never stops the streams. On a full disk what
was written waits in memory, nothing that depends on it is told, and no event is taken until there is room. On one that
is nearly full all goes on, but nothing new should be begun. After an error nothing is told any more: what the disk
holds then, only a new start can know.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from thinwire.common.disk import Space
from thinwire.common.errors import DiskError
from thinwire.server.effects import Effect
from thinwire.server.metrics import CoordinatorMetrics
from thinwire.server.recorder import Checkpoint, Decided, Recorder
from thinwire.server.reserve import Reserve

log = logging.getLogger("thinwire.server")
T = TypeVar("T")

# How often the disk's room is looked at.
ROOM_EVERY_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """Decided, but not yet told."""

    decided: Decided
    carried_out: asyncio.Future[None]


class Safety:
    """The line of effects that wait for one recorder's journal; `perform` carries one out.

    `order` and `thread` are those in which the recorder takes events; `space` says how full the journal's disk is.
    """

    def __init__(
        self,
        recorder: Recorder,
        metrics: CoordinatorMetrics,
        perform: Callable[[Effect], None],
        order: asyncio.Lock,
        thread: ThreadPoolExecutor,
        reserve: Reserve,
        space: Callable[[], Space] | None,
    ) -> None:
        self._recorder, self._metrics, self._perform = recorder, metrics, perform
        self._order, self._thread, self._reserve, self._space = order, thread, reserve, space
        self._disk = ThreadPoolExecutor(1, "journal")
        self._line: deque[Waiting] = deque()
        self._syncing: asyncio.Task[None] | None = None
        self._checkpointing: asyncio.Task[None] | None = None
        self._failed = asyncio.Event()
        self.failure: Exception | None = None
        self.room, self.plenty = asyncio.Event(), asyncio.Event()
        self.room.set()
        self.plenty.set()

    @property
    def full(self) -> bool:
        """Whether the journal's disk is full, so that no event is taken until `room`."""
        return not self.room.is_set()

    @property
    def scarce(self) -> bool:
        """Whether nothing new should be begun until `plenty`."""
        return not self.plenty.is_set()

    @property
    def words(self) -> str:
        """What is the matter with the disk; "" when all is well."""
        if self.full:
            return "state.dir is full: no new delta and no new device is taken until there is room"
        return self._reserve.words if self.scarce else ""

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
            self.plenty.clear()
            log.error("%s; models are still served", self.words)
        return waiting

    def fail(self, error: Exception) -> None:
        """Tell nothing from here on, and let `watch` raise this; the first error stands.

        What was written is not known any more, and asking again would only hide it.
        """
        self.failure = self.failure or error
        self._failed.set()

    async def watch(self) -> None:
        """Look at the disk every so often, until cancelled; raise what keeps the coordinator from going on."""
        # Beside each other: a disk that hangs in a sync lets nobody look, and what failed meanwhile must still be said.
        await first_of(self._keep_looking(), self._failed.wait())
        if self.failure is not None:
            raise self.failure

    async def sync(self) -> bool:
        """Make what is written safe, out of line; whether it is."""
        try:
            await _in(self._disk, self._recorder.sync)
        except DiskError as error:
            self.fail(error)
        return self.failure is None

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
                if isinstance(self.failure, DiskError):
                    # A write failed meanwhile; what this sync says of what came before it is not believed either.
                    return
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
        if self._checkpointing is not None and not self._checkpointing.done():
            return
        if (due := self._recorder.take_checkpoint()) is not None:
            self._checkpointing = asyncio.create_task(self._checkpoint(due), name="checkpoint")

    async def _checkpoint(self, due: Checkpoint) -> None:
        assert self._recorder.journal is not None
        began = time.perf_counter()
        try:
            await asyncio.to_thread(self._recorder.journal.checkpoint, due.number, due.frozen, due.vectors)
        except Exception as error:
            log.error("no checkpoint, a restart will take longer: %s", error)
        self._metrics.checkpoint.observe(time.perf_counter() - began)

    async def _keep_looking(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(ROOM_EVERY_S)
            if self.full:
                await self._try_again()

    async def _look(self) -> None:
        try:
            space = await _in(self._disk, self._make_room)
        except DiskError as error:
            # The next write says what is the matter; this only looks ahead.
            log.warning("how full state.dir is cannot be told, or no room be made: %s", error)
            return
        if space is None:
            return
        self._metrics.free.set(space.free_bytes)
        if self._reserve.look(space):
            self._weigh()
            if self._reserve.low:
                log.warning("%s; models are still served", self._reserve.words)
            else:
                log.info("the disk of state.dir has room again")

    def _make_room(self) -> Space | None:
        """How much room there is, after old history was given up for what is missing.

        Else history is given up after a checkpoint, and without new deltas there is none: a coordinator that waited for
        room which its own history takes would wait for ever.
        """
        if self.full:
            # Step by step, for how much is missing is not known: a quota's end looks like a disk with room.
            self._recorder.give_up_oldest()
        if self._space is None:
            return None
        self._reserve.needed_bytes = self._recorder.next_bytes
        space = self._space()
        while self._reserve.short(space) and self._recorder.give_up_oldest():
            space = self._space()
        return space

    def _weigh(self) -> None:
        if self.full or self._reserve.low:
            self.plenty.clear()
        else:
            self.plenty.set()

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
                self._weigh()
                self.wait(Decided([], self._recorder.last))


async def _in(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, work)


async def first_of(*works: Coroutine[Any, Any, object]) -> None:
    """Return when the first of these is done, or raise what it raised; the others are cancelled."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
