"""gRPC in front of the coordinator: one Session per device, read by one task and written by another.

A dead peer ends the request stream like a polite one, so nothing here takes the end of a stream for the end of a delta.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import grpc.aio
from google.protobuf.message import DecodeError

from thinwire.common import values, wire
from thinwire.common.values import RefusalReason
from thinwire.server import effects, events, reception
from thinwire.server.conversation import Conversation, DeviceRecord
from thinwire.server.coordinator import Coordinator
from thinwire.server.effects import NO_ROOM_S
from thinwire.server.feed import Feed, SnapshotWanted
from thinwire.server.safety import first_of
from thinwire.server.staging import Staging, StagingError
from thinwire.v1 import session_pb2, session_pb2_grpc

log = logging.getLogger("thinwire.server")
Context = grpc.aio.ServicerContext[Any, Any]
NAME = re.compile(values.NAME_PATTERN, re.ASCII)

# Whoever opens a stream and says nothing, or does not read why it is refused, must not hold its place for ever.
HELLO_S = 20.0
REFUSAL_S = 5.0
# While the disk has no room, a device that comes with a delta hears for so long what it has missed, and comes back.
HOLD_S = 20.0


class RefusedError(Exception):
    """This stream ends with a Refusal."""

    def __init__(
        self, reason: RefusalReason, message: str, *, fatal: bool = False, retry_after_s: float = 0
    ) -> None:
        super().__init__(message)
        self.refusal = values.Refusal(reason, message[:1024], fatal, retry_after_s)


# What a peer is to blame for; its stream ends with a reason, and nobody else's does.
BLAMED = (RefusedError, StagingError, wire.WireError, DecodeError)


class FleetService(session_pb2_grpc.FleetServiceServicer):
    """Sessions with devices."""

    def __init__(self, coordinator: Coordinator, staging: Staging, *, max_devices: int, tls: bool) -> None:
        self._coordinator, self._staging = coordinator, staging
        self._max_devices, self._tls = max_devices, tls

    # The generated stub knows only generators; a handler that writes for itself is the other form that gRPC takes.
    async def Session(  # type: ignore[override]
        self, request_iterator: AsyncIterator[session_pb2.SessionRequest], context: Context
    ) -> None:
        """Serve one device until either side has enough."""
        session: Conversation | None = None
        try:
            first = await _first_word(request_iterator)
            if first is None:
                return
            session = await self._greet(wire.from_request(first), context)
            await self._converse(session, request_iterator, context)
        except BLAMED as error:
            await self._refuse(_refusal_of(error), "a stranger", context)
        finally:
            if session is not None:
                await self._leave(session)

    # -- hello -------------------------------------------------------------------------------------------------

    async def _greet(self, hello: values.FromDevice, context: Context) -> Conversation:
        if not isinstance(hello, values.Hello):
            raise RefusedError(RefusalReason.BAD_REQUEST, "the first word on a stream must be Hello")
        self._check_hello(hello, context)
        # An older stream of this device must not settle anything between this greeting and its answer.
        self._fence(hello.device)
        recognised = await self._recognise(hello)
        if isinstance(recognised, effects.Refused):
            await self._coordinator.submit(events.Left(hello.device))
            raise RefusedError(recognised.reason, recognised.message, retry_after_s=recognised.retry_after_s)
        assert isinstance(recognised, effects.Recognised)
        if recognised.lost:
            log.warning("a device starts anew", extra={"device": hello.device, "reason": recognised.lost})
        return self._welcome(hello, recognised)

    async def _recognise(self, hello: values.Hello) -> effects.Effect:
        coordinator = self._coordinator
        greeted = reception.greeted(hello, coordinator.welcome.lineage)
        try:
            if coordinator.safety.full:
                return await coordinator.recall(greeted)
            return (await coordinator.submit(greeted))[0]
        except asyncio.CancelledError:
            # Gone in mid-greeting; the stream that it fenced left this one to say that the device is gone.
            if hello.device not in coordinator.sessions:
                await coordinator.submit(events.Left(hello.device))
            raise

    def _welcome(self, hello: values.Hello, recognised: effects.Recognised) -> Conversation:
        coordinator = self._coordinator
        # Again, for a stream that was being greeted at the same time.
        self._fence(hello.device)
        session = Conversation(hello.device, recognised.epoch, Feed(hello.device, recognised.epoch))
        version, plan = coordinator.commits.version, coordinator.plans.welcome(hello.device)
        # The first word in its feed, so nothing can be said before it.
        session.tell(reception.welcomed(coordinator.welcome, hello, recognised, plan, version, self._staging))
        coordinator.sessions[hello.device] = session
        coordinator.devices.setdefault(hello.device, DeviceRecord())
        log.info(
            "device connected",
            extra={"device": hello.device, "epoch": recognised.epoch, "software": hello.software},
        )
        return session

    def _check_hello(self, hello: values.Hello, context: Context) -> None:
        if hello.protocol != values.PROTOCOL:
            message = (
                f"protocol {hello.protocol}; this coordinator speaks {values.PROTOCOL}: update the older side"
            )
            raise RefusedError(RefusalReason.PROTOCOL_VERSION, message, fatal=True)
        if not NAME.fullmatch(hello.device):
            message = f"{hello.device!r:.80} is no device name; it must match {values.NAME_PATTERN}"
            raise RefusedError(RefusalReason.BAD_NAME, message, fatal=True)
        if self._tls and hello.device not in _certified_names(context):
            message = f"device {hello.device!r} came with the certificate of {_certified_names(context)}"
            raise RefusedError(RefusalReason.IDENTITY_MISMATCH, message, fatal=True)
        safety = self._coordinator.safety
        if safety.scarce and self._coordinator.core.ledger.row(hello.device) is None:
            raise RefusedError(RefusalReason.DISK_FULL, safety.words, retry_after_s=NO_ROOM_S)
        sessions = self._coordinator.sessions
        if len(sessions) >= self._max_devices and hello.device not in sessions:
            raise RefusedError(RefusalReason.FULL, f"{len(sessions)} devices are connected", retry_after_s=60)

    def _fence(self, device: str) -> None:
        older = self._coordinator.sessions.pop(device, None)
        if older is not None:
            message = "this device has opened a newer stream"
            older.end(values.Refusal(RefusalReason.FENCED, message, retry_after_s=30))

    def send_away(self) -> None:
        """Tell every device that this coordinator is going down; each comes back when its own back-off says."""
        for session in self._coordinator.sessions.values():
            session.end(values.Refusal(RefusalReason.SHUTTING_DOWN, "this coordinator is going down"))

    # -- conversation ------------------------------------------------------------------------------------------

    async def _converse(
        self, session: Conversation, requests: AsyncIterator[session_pb2.SessionRequest], context: Context
    ) -> None:
        reader = asyncio.create_task(self._listen(session, requests), name=f"listen {session.device}")
        writer = asyncio.create_task(self._speak(session, context), name=f"speak {session.device}")
        try:
            done, _ = await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
            # The writer alone may say the last word: a second write beside one under way is refused by gRPC.
            if session.ending is not None and writer not in done:
                done, _ = await asyncio.wait((writer,), timeout=REFUSAL_S)
            for task in done:
                task.result()
        finally:
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    async def _listen(
        self, session: Conversation, requests: AsyncIterator[session_pb2.SessionRequest]
    ) -> None:
        record = self._coordinator.devices[session.device]
        try:
            async for message in requests:
                if session.ending is not None:
                    return
                record.seen_at = time.monotonic()
                await self._hear(session, wire.from_request(message))
        except BLAMED as error:
            session.end(_refusal_of(error))

    async def _hear(self, session: Conversation, word: values.FromDevice) -> None:
        match word:
            case values.DeltaChunk():
                await self._take_chunk(session, word)
            case values.Subscribe():
                await self._subscribe(session, word)
            case values.Report():
                self._coordinator.report(session.device, word)
            case values.Echo():
                session.tell(word)
            case values.Hello():
                raise RefusedError(RefusalReason.BAD_REQUEST, "a second Hello on one stream")
        if session.feed.overfull:
            raise RefusedError(RefusalReason.BAD_REQUEST, "the device reads none of its answers")

    async def _take_chunk(self, session: Conversation, chunk: values.DeltaChunk) -> None:
        if chunk.header is not None and self._coordinator.safety.scarce:
            await self._hold()
        whole = self._staging.take(session.device, chunk)
        if whole is None:
            return
        for effect in await self._coordinator.submit(reception.sealed(session.device, session.epoch, whole)):
            if isinstance(effect, effects.Refused):
                raise RefusedError(RefusalReason.BAD_REQUEST, effect.message)

    async def _hold(self) -> None:
        """Leave a new delta unread until there is room for it; raise RefusedError when that takes too long."""
        safety = self._coordinator.safety
        with suppress(TimeoutError):
            async with asyncio.timeout(HOLD_S):
                await safety.plenty.wait()
                return
        message = f"{safety.words or 'state.dir was full'}; the delta is safe on the device"
        raise RefusedError(RefusalReason.DISK_FULL, message, retry_after_s=NO_ROOM_S)

    async def _subscribe(self, session: Conversation, wish: values.Subscribe) -> None:
        for effect in await self._coordinator.submit(reception.subscribed(session.device, wish)):
            if isinstance(effect, effects.Refused):
                raise RefusedError(effect.reason, effect.message, retry_after_s=effect.retry_after_s)
        # Only now: who is refused is sent no model first.
        session.feed.subscribe(wish)
        session.wake.set()

    # -- speaking ----------------------------------------------------------------------------------------------

    async def _speak(self, session: Conversation, context: Context) -> None:
        while session.ending is None:
            session.wake.clear()
            if not await self._say_next(session, context):
                await session.wake.wait()
        await self._refuse(session.ending, session.device, context)

    async def _say_next(self, session: Conversation, context: Context) -> bool:
        """Send the next thing that brings the device forward; whether there was one."""
        coordinator = self._coordinator
        due = session.feed.next(coordinator.commits, open=coordinator.open, final=coordinator.final)
        if due is None:
            return False
        if isinstance(due, SnapshotWanted):
            # On a full disk that takes long, and there may be words to say meanwhile.
            await first_of(coordinator.snapshots.usable(), session.wake.wait())
            return True
        await context.write(wire.response(due.word))
        if due.completed_bytes:
            coordinator.devices[session.device].version = session.feed.cursor or 0
            coordinator.figures.count_down(due.completed_bytes)
        return True

    # -- goodbye -----------------------------------------------------------------------------------------------

    async def _refuse(self, refusal: values.Refusal, device: str, context: Context) -> None:
        # Going down is one event, not one for each device.
        level = logging.DEBUG if refusal.reason is RefusalReason.SHUTTING_DOWN else logging.WARNING
        log.log(level, "stream refused", extra={"device": device, "reason": refusal.message})
        self._coordinator.metrics.refused.labels(refusal.reason.name.lower()).inc()
        with suppress(grpc.aio.BaseError, asyncio.InvalidStateError, TimeoutError):
            async with asyncio.timeout(REFUSAL_S):
                await context.write(wire.response(refusal))

    async def _leave(self, session: Conversation) -> None:
        # A fenced stream's place is taken already; its successor speaks for the device.
        if self._coordinator.sessions.get(session.device) is session:
            del self._coordinator.sessions[session.device]
            log.info("device gone", extra={"device": session.device})
            await self._coordinator.submit(events.Left(session.device))


async def _first_word(requests: AsyncIterator[session_pb2.SessionRequest]) -> session_pb2.SessionRequest | None:
    try:
        async with asyncio.timeout(HELLO_S):
            return await anext(requests, None)
    except TimeoutError:
        raise RefusedError(RefusalReason.BAD_REQUEST, f"no Hello came within {HELLO_S:g} s") from None


def _refusal_of(error: Exception) -> values.Refusal:
    if isinstance(error, RefusedError):
        return error.refusal
    reason = error.reason if isinstance(error, StagingError) else RefusalReason.BAD_REQUEST
    return values.Refusal(reason, str(error)[:1024])


def _certified_names(context: Context) -> list[str]:
    names = context.auth_context().get("x509_common_name", [])
    return [name.decode(errors="replace") for name in names]


def task_params_json(params: dict[str, object]) -> str:
    """A task's parameters as Welcome carries them."""
    return json.dumps(params, sort_keys=True)
