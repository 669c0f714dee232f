"""The core set in asyncio: events go to it one at a time, its effects go to the link, the trainer and the disk."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from thinwire.client import core, effects, events
from thinwire.client.intake import SnapshotSlice
from thinwire.client.leaving import LEAVING
from thinwire.client.link import GrpcLink
from thinwire.client.metrics import AgentMetrics
from thinwire.client.sockets import WireMeter, resident_bytes
from thinwire.client.state import State
from thinwire.client.trainer import TrainerProcess
from thinwire.common import frames
from thinwire.common.errors import DiskError, SyncError, TaskError
from thinwire.common.exits import Exit
from thinwire.common.values import FromCoordinator, Report

log = logging.getLogger("thinwire.client")

# How long a last report may take to leave before the agent does.
FAREWELL_S = 5.0
METER_EVERY_S = 1.0


class Agent:
    """One device, alive."""

    def __init__(
        self, decisions: core.AgentCore, link: GrpcLink, state: State, meter: WireMeter, metrics: AgentMetrics
    ) -> None:
        self.core, self._link, self._state, self._meter, self._metrics = decisions, link, state, meter, metrics
        self.trainer: TrainerProcess | None = None
        self._events: asyncio.Queue[events.Event] = asyncio.Queue()
        self._talk: asyncio.Task[None] | None = None
        self._quit: effects.Quit | None = None

    async def run(self, trainer: TrainerProcess) -> effects.Quit:
        """Live until the core quits or the task is cancelled."""
        self.trainer = trainer
        metering = asyncio.create_task(self._keep_metering(), name="meter")
        try:
            while self._quit is None:
                await self._handle(await self._next_event())
            if self._quit is not LEAVING:
                await self._say_farewell()
            return self._quit
        finally:
            metering.cancel()
            await self._end_talk()
            await trainer.stop()
            await self._link.close()
            self._state.close()

    def hear(self, event: events.Event) -> None:
        """Queue what the trainer or the link has to say."""
        self._events.put_nowait(event)

    async def _next_event(self) -> events.Event:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self.core.deadline):
                return await self._events.get()
        return events.Tick()

    async def _handle(self, event: events.Event) -> None:
        decided = self.core.handle(event, asyncio.get_running_loop().time())
        self._metrics.connected.set(self.core.live)
        self._metrics.pending.set(len(self.core.outbox.pending()))
        for effect in decided:
            if self._quit is not None:
                return
            answer = await self._perform(effect)
            if answer is not None:
                # What the disk said comes before anything else that may have happened meanwhile.
                await self._handle(answer)

    async def _perform(self, effect: effects.Effect) -> events.Event | None:  # noqa: C901  # one flat table of effects
        assert self.trainer is not None
        match effect:
            case effects.Send():
                self._link.say(effect.message)
            case effects.Tell():
                self.trainer.tell(effect.frame, effect.body)
            case effects.Persist() | effects.Flush():
                return await self._persist(effect)
            case effects.Recover():
                return await self._recover()
            case effects.Spool():
                return self._write_down(effect.slice)
            case effects.GiveBase():
                self._give_base(effect)
            case effects.SendReport():
                self._link.say(self._report())
            case effects.StartTrainer():
                await self._start_trainer(effect)
            case effects.StopTrainer():
                await self.trainer.stop()
            case effects.Dial():
                await self._end_talk()
                self._talk = asyncio.create_task(self._converse(), name="talk")
            case effects.HangUp():
                self._link.hang_up(effect.reason)
            case effects.Note():
                log.log(logging.getLevelNamesMapping()[effect.level.upper()], "%s", effect.message)
            case effects.Quit():
                self._quit = effect
        return None

    async def _persist(self, effect: effects.Persist | effects.Flush) -> events.Event | None:
        store = self._state.store
        try:
            if isinstance(effect, effects.Flush):
                await asyncio.to_thread(store.flush)
            elif effect.record.synced:
                await asyncio.to_thread(store.keep, effect.record, effect.body)
            else:
                store.keep(effect.record)
                return None
        except SyncError as error:
            # Nothing is known of what is in the file: only reading it again tells.
            self._quit = effects.Quit(Exit.DISK, f"{error}; start the agent again, it goes on from what is there")
            return None
        except DiskError as error:
            return events.DiskRefused(str(error))
        return events.Persisted()

    async def _recover(self) -> events.Event | None:
        assert self.trainer is not None
        try:
            recovery = await asyncio.to_thread(self._state.store.recover)
            for frame, body in recovery.told:
                self.trainer.tell(frame, body)
                # All of it may be more than the agent should ever hold.
                await self.trainer.drain()
        except DiskError as error:
            self._quit = effects.Quit(Exit.DISK, str(error))
            return None
        return events.Recovered(recovery.forgotten_cuts, recovery.problem)

    def _write_down(self, piece: SnapshotSlice) -> events.Event | None:
        try:
            self._state.spool.write(piece)
        except DiskError as error:
            return events.SpoolRefused(str(error), self._state.spool.resume())
        return None

    def _give_base(self, effect: effects.GiveBase) -> None:
        assert self.trainer is not None
        try:
            path = self._state.path(self._state.spool.finish())
        except DiskError as error:
            self._quit = effects.Quit(Exit.DISK, str(error))
            return
        self.trainer.tell(frames.Base(path=path, version=effect.version, through=effect.through))

    async def _start_trainer(self, effect: effects.StartTrainer) -> None:
        assert self.trainer is not None
        try:
            await self.trainer.start(effect)
        except TaskError as error:
            self._quit = effects.Quit(Exit.TRAINING, str(error))
        except OSError as error:
            self.hear(events.TrainerLost(f"the interpreter cannot be started: {error}"))

    async def _converse(self) -> None:
        def heard(word: FromCoordinator) -> None:
            self.hear(events.Received(word))

        try:
            reason = await self._link.talk(lambda: self.hear(events.Opened()), heard)
        except Exception as error:
            # Whatever ended the talk, a core that did not hear of it would never dial again.
            log.exception("the link broke in an unforeseen way")
            reason = f"{type(error).__name__}: {error}"
        self.hear(events.Closed(reason))

    async def _end_talk(self) -> None:
        if self._talk is not None:
            self._talk.cancel()
            await asyncio.gather(self._talk, return_exceptions=True)
            self._talk = None

    async def _say_farewell(self) -> None:
        # gRPC has the words when the link is drained; the moment after lets them leave before the call is cancelled.
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                if self.core.live:
                    await self._link.drain()
                    await asyncio.sleep(0.2)

    # -- figures -----------------------------------------------------------------------------------------------

    async def _keep_metering(self) -> None:
        while True:
            self._metrics.report = self._report()
            for kind, written_bytes in self._state.written().items():
                self._metrics.wrote(kind, written_bytes)
            await asyncio.sleep(METER_EVERY_S)

    def _report(self) -> Report:
        assert self.trainer is not None
        figures, meter = self.core.figures, self.core.meter
        sent, received = self._meter.sample()
        return Report(
            version=max(0, figures.version),
            checksum=figures.checksum or 0,
            has_checksum=figures.checksum is not None,
            wire_sent_bytes=sent,
            wire_received_bytes=received,
            rtt_s=self.core.upload.rtt_s,
            goodput_up=self.core.upload.goodput.figure,
            transfer_s=meter.transfer_s,
            hidden_s=meter.hidden_s,
            compute_s=figures.compute_s,
            wait_s=figures.wait_s,
            steps=figures.steps,
            cuts=figures.cuts,
            residual_norm=figures.residual_norm,
            delay_steps=figures.delay_steps,
            delay_least=figures.delay_least,
            delay_median=figures.delay_median,
            delay_p95=figures.delay_p95,
            trainer_restarts=self.core.seat.restarts,
            abandoned=self.core.custody.abandoned,
            forgotten_cuts=self.core.custody.forgotten_cuts,
            storage_refused=bool(self.core.custody.trouble),
            agent_rss_bytes=resident_bytes(),
            trainer_rss_bytes=resident_bytes(self.trainer.pid) if self.trainer.pid else 0,
        )
