"""The core set in asyncio: events go to it one at a time, its effects go to sessions, log, evaluator and metrics.

The core's arithmetic runs in one thread of its own and the journal is synced in another, so neither a large commit nor
a slow disk ever stops the streams. One lock keeps the order of events; effects are carried out in the same order, each
when what was written before it is safe, and many share one sync. What was begun is carried through, even when the
stream that brought it breaks meanwhile: a commit that the core has made and nobody keeps could not be sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from thinwire.common.disk import Space
from thinwire.common.errors import ThinwireError
from thinwire.common.values import Plan, Report, Verdict, Welcome
from thinwire.server import effects, events, reception
from thinwire.server.commits import CommitLog
from thinwire.server.conversation import Conversation, plausible
from thinwire.server.core import refused_for_room
from thinwire.server.evaluator import Evaluator
from thinwire.server.figures import Figures
from thinwire.server.measuring import Measuring
from thinwire.server.metrics import CoordinatorMetrics
from thinwire.server.model import Commit
from thinwire.server.plans import Plans
from thinwire.server.presence import Presence
from thinwire.server.recorder import Decided, Recorder
from thinwire.server.reserve import Reserve
from thinwire.server.safety import Safety, first_of
from thinwire.server.snapshots import Snapshots

log = logging.getLogger("thinwire.server")

# Of what could not be written nobody is ever told.
NEVER = Decided([], 1 << 63)


class Coordinator:
    """One training run, alive."""

    def __init__(
        self,
        recorder: Recorder,
        welcome: Welcome,
        evaluator: Evaluator | None,
        metrics: CoordinatorMetrics,
        commits: Iterable[Commit] = (),
        plans: Plans | None = None,
        reserve: Reserve | None = None,
        space: Callable[[], Space] | None = None,
    ) -> None:
        self.recorder, self.core, self.welcome, self.metrics = recorder, recorder.core, welcome, metrics
        model, state = self.core.model, self.core.state
        self.plans = plans or Plans(welcome.plan)
        self.figures = Figures(self.core, self.plans, metrics)
        self.commits = CommitLog(self.figures.dense_bytes, model.version)
        for commit in commits:
            self.commits.append(commit)
        self.checksum = model.checksum
        self.sessions: dict[str, Conversation] = {}
        self.devices = self.figures.devices
        self.open = state.phase != "starting"
        self.final = effects.Finished(model.version, state.reason) if state.phase == "finished" else None
        self.done = asyncio.Event()
        self._measuring = Measuring(evaluator, metrics, self.submit)
        self._thread = ThreadPoolExecutor(1, "core")
        self._order = asyncio.Lock()
        self.safety = Safety(
            recorder, metrics, self._perform, self._order, self._thread, reserve or Reserve(0.0, 0), space
        )
        self.snapshots = Snapshots(recorder, self.commits, self.safety, self._order)
        self._presence = Presence(self.safety.room, lambda event: self._begin(event, late=True))
        self._changed = asyncio.Event()
        self._under_way: set[asyncio.Task[list[effects.Effect]]] = set()
        metrics.connected.set_function(lambda: len(self.sessions))
        metrics.journal.set_function(lambda: recorder.last)

    async def start(self) -> None:
        """Take over the run under a new leader epoch; before any device is served."""
        leader_epoch = self.core.state.leader_epoch + 1
        self.welcome = replace(self.welcome, leader_epoch=leader_epoch)
        if self.open:
            self.figures.begin()
        await self._take_over(events.Started(leader_epoch))
        self.metrics.version.set(self.core.model.version)
        if self.final is not None:
            self.figures.end()
            self.done.set()

    async def _take_over(self, started: events.Started) -> None:
        """Have the core take the first event; on a full disk this waits until there is room."""
        await first_of(self.safety.watch(), self.submit(started))

    async def run(self) -> None:
        """Tick the core when it asks for it, and evaluate, until cancelled; raise what keeps it from going on."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tick())
                tasks.create_task(self._measuring.keep_measuring())
                tasks.create_task(self.safety.watch())
                tasks.create_task(self._presence.keep_noting())
        except ExceptionGroup as group:  # noqa: F821  # the coordinator needs Python 3.11
            raise group.exceptions[0] from None

    async def _tick(self) -> None:
        while True:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self.core.deadline):
                    await self._changed.wait()
                    continue
            await self.submit(events.Tick())

    async def close(self) -> None:
        """Make everything safe and let go of the journal; no event is taken any more."""
        async with self._order:
            # A commit that the core is at is written before; what comes after would be written by nobody.
            self.safety.fail(ClosedError("this coordinator is closed"))
        await self.safety.close()

    async def submit(self, event: events.Event) -> list[effects.Effect]:
        """Have the core handle an event and carry out what it decides; the effects are returned too.

        Who comes and goes while the disk is full is noted when there is room: nothing is decided until then.
        """
        if self._presence.hold(event):
            return []
        self._presence.before(event)
        return await asyncio.shield(self._begin(event))

    def _begin(self, event: events.Event, *, late: bool = False) -> asyncio.Task[list[effects.Effect]]:
        handle = self._handle_late if late else self._handle
        handling = asyncio.create_task(handle(event), name=f"handle {type(event).__name__}")
        self._under_way.add(handling)
        handling.add_done_callback(self._under_way.discard)
        return handling

    async def _handle(self, event: events.Event) -> list[effects.Effect]:
        await self.safety.room.wait()
        async with self._order:
            decided = await self._decide(event)
            waiting = self.safety.wait(decided)
        self._changed.set()
        await waiting.carried_out
        return decided.effects

    async def _handle_late(self, event: events.Event) -> list[effects.Effect]:
        """Handle what the device was not kept waiting for: nobody else is left to end its stream."""
        told = await self._handle(event)
        for effect in told:
            if isinstance(effect, effects.Refused) and (session := self.sessions.get(effect.device)):
                session.end(reception.refused(effect))
        return told

    async def _decide(self, event: events.Event) -> Decided:
        if self.safety.failure is not None:
            return NEVER
        now = asyncio.get_running_loop().time()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._timed, event, now)
        except Exception as error:
            # Whatever it was, the core may know by now what its journal does not: another event would build on that.
            self.safety.fail(error)
            return NEVER

    def _timed(self, event: events.Event, now: float) -> Decided:
        began = time.perf_counter()
        decided = self.recorder.handle(event, now)
        took_s = time.perf_counter() - began
        if any(isinstance(effect, effects.Published) for effect in decided.effects):
            self.metrics.commit.observe(took_s)
        elif isinstance(event, events.DeltaSealed):
            self.metrics.admit.observe(took_s)
        return decided

    async def recall(self, event: events.Greeted) -> effects.Recognised | effects.Refused:
        """Answer a device that greets while the disk is full: what is known and safe, and nothing new."""
        async with self._order:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self.recorder.recall, event)
        return found if await self.safety.sync() else refused_for_room(event.device)

    def report(self, device: str, report: Report) -> None:
        """Take over a device's own figures."""
        possible = plausible(report)
        record = self.devices[device]
        record.take(possible)
        self.metrics.observe(possible)
        now = asyncio.get_running_loop().time()
        sent, received = record.wire_sent_bytes, record.wire_received_bytes
        self._tell(device, self.plans.report(device, possible, sent, received, now))

    # -- carrying out ------------------------------------------------------------------------------------------

    def _perform(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Settled():
                self._settle(effect)
            case effects.Opened():
                self.open = True
                self.figures.begin()
                log.info("training begins", extra={"devices": self.core.roster.live})
                self._wake_all()
            case effects.Published():
                self._publish(effect)
            case effects.Evaluate():
                self._measuring.want(effect)
            case effects.Finished():
                self.final = effect
                self.figures.end()
                log.info("training is over", extra={"version": effect.version, "reason": effect.reason})
                self._wake_all()
                self.done.set()
            case effects.Recognised() | effects.Rerated():
                self._tell(effect.device, self.plans.rate(effect.device, effect.density))
            case effects.Refused() | effects.Write():
                pass  # the session that asked answers its own device; the recorder has written

    def _settle(self, effect: effects.Settled) -> None:
        self.figures.settle(effect)
        if effect.outcome.verdict is Verdict.ACCEPTED and not effect.repeated:
            self._tell(effect.device, self.plans.settle(effect.device, effect.kept, effect.packed_bytes))
        elif not effect.repeated:
            log.warning("delta rejected", extra={"device": effect.device, "reason": effect.outcome.message})
        if session := self.sessions.get(effect.device):
            session.tell(reception.settled(effect.outcome, self.welcome.plan, self.core.model.version))

    def _publish(self, effect: effects.Published) -> None:
        commit = effect.commit
        self.commits.append(commit)
        self.checksum = commit.checksum
        self.figures.publish(commit)
        self._wake_all()

    def _tell(self, device: str, plan: Plan | None) -> None:
        if plan is not None and (session := self.sessions.get(device)):
            session.tell(plan)

    def _wake_all(self) -> None:
        for session in self.sessions.values():
            session.wake.set()

    @property
    def held_back(self) -> str:
        """Why no device can be served as it should be, in words; "" when all is well."""
        return self.safety.words or (self.core.status() if self.core.set_back else "")

    @property
    def status(self) -> str:
        """What the training waits for, in words."""
        return self.held_back or self.core.status()


class ClosedError(ThinwireError):
    """It was told to end."""
