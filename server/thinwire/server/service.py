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
from thinwire.common.values import (
    CHUNK_BYTES,
    CommitChunk,
    CommitHeader,
    RefusalReason,
    SnapshotChunk,
    SnapshotHeader,
)
from thinwire.server import core
from thinwire.server.conversation import Conversation, DeviceRecord
from thinwire.server.coordinator import Coordinator
from thinwire.server.model import Commit
from thinwire.server.staging import Staging, StagingError
from thinwire.v1 import session_pb2, session_pb2_grpc

log = logging.getLogger("thinwire.server")
Context = grpc.aio.ServicerContext[Any, Any]
NAME = re.compile(values.NAME_PATTERN, re.ASCII)

# Whoever opens a stream and says nothing, or does not read why it is refused, must not hold its place for ever.
HELLO_S = 20.0
REFUSAL_S = 5.0


class RefusedError(Exception):
    """This stream ends with a Refusal."""

    def __init__(
        self, reason: RefusalReason, message: str, *, fatal: bool = False, retry_after_s: float = 0
    ) -> None:
        super().__init__(message)
        self.refusal = values.Refusal(reason, message[:1024], fatal, retry_after_s)


class FleetService(session_pb2_grpc.FleetServiceServicer):
    """Sessions with devices."""

    def __init__(self, coordinator: Coordinator, staging: Staging, *, max_devices: int, tls: bool) -> None:
        self._coordinator, self._staging = coordinator, staging
        self._max_devices, self._tls = max_devices, tls

    async def Session(
        self, request_iterator: AsyncIterator[session_pb2.SessionRequest], context: Context
    ) -> None:
        """Serve one device until either side has enough."""
        session: Conversation | None = None
        try:
            first = await _first_word(request_iterator)
            if first is None:
                return
            session = await self._welcome(wire.from_request(first), context)
            await self._converse(session, request_iterator, context)
        except RefusedError as error:
            await self._refuse(error.refusal, session, context)
        except StagingError as error:
            await self._refuse(values.Refusal(error.reason, str(error)[:1024]), session, context)
        except (wire.WireError, DecodeError) as error:
            await self._refuse(values.Refusal(RefusalReason.BAD_REQUEST, str(error)[:1024]), session, context)
        finally:
            if session is not None:
                await self._leave(session)

    # -- hello -------------------------------------------------------------------------------------------------

    async def _welcome(self, hello: values.FromDevice, context: Context) -> Conversation:
        if not isinstance(hello, values.Hello):
            raise RefusedError(RefusalReason.BAD_REQUEST, "the first word on a stream must be Hello")
        self._check_hello(hello, context)
        coordinator, device = self._coordinator, hello.device
        same_lineage = hello.lineage == coordinator.welcome.lineage
        # An older stream of this device must not settle anything between this greeting and its answer.
        self._fence(device)
        effects = await coordinator.submit(
            core.Greeted(device, hello.epoch if same_lineage else 0, hello.unsettled if same_lineage else ())
        )
        recognised = effects[0]
        if isinstance(recognised, core.Refused):
            raise RefusedError(RefusalReason.BAD_REQUEST, recognised.message, retry_after_s=10)
        assert isinstance(recognised, core.Recognised)
        if recognised.epoch != hello.epoch or not same_lineage:
            self._staging.forget(device)
        return await self._answer(hello, recognised, context)

    async def _answer(
        self, hello: values.Hello, recognised: core.Recognised, context: Context
    ) -> Conversation:
        session = Conversation(hello.device, recognised.epoch)
        self._coordinator.sessions[hello.device] = session
        self._coordinator.devices.setdefault(hello.device, DeviceRecord())
        template = self._coordinator.welcome
        welcome = values.Welcome(
            template.lineage, recognised.epoch, template.task, template.task_params, template.layout_hash,
            template.plan, self._coordinator.commits.version, self._staging.staged(hello.device), recognised.outcomes,
        )  # fmt: skip
        log.info(
            "device connected",
            extra={"device": hello.device, "epoch": recognised.epoch, "software": hello.software},
        )
        await context.write(wire.response(welcome))
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
        sessions = self._coordinator.sessions
        if len(sessions) >= self._max_devices and hello.device not in sessions:
            raise RefusedError(RefusalReason.FULL, f"{len(sessions)} devices are connected", retry_after_s=60)

    def _fence(self, device: str) -> None:
        older = self._coordinator.sessions.pop(device, None)
        if older is not None:
            older.fenced = True
            older.wake.set()

    # -- conversation ------------------------------------------------------------------------------------------

    async def _converse(
        self, session: Conversation, requests: AsyncIterator[session_pb2.SessionRequest], context: Context
    ) -> None:
        reader = asyncio.create_task(self._listen(session, requests), name=f"listen {session.device}")
        writer = asyncio.create_task(self._speak(session, context), name=f"speak {session.device}")
        try:
            done, _ = await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
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
        async for message in requests:
            if session.fenced:
                return
            record.seen_at = time.monotonic()
            await self._hear(session, wire.from_request(message))

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

    async def _take_chunk(self, session: Conversation, chunk: values.DeltaChunk) -> None:
        whole = self._staging.take(session.device, chunk)
        if whole is None:
            return
        event = core.DeltaSealed(
            session.device,
            session.epoch,
            whole.seq,
            whole.header.sha256,
            whole.payload,
            whole.header.buffer_bytes,
        )
        for effect in await self._coordinator.submit(event):
            if isinstance(effect, core.Refused):
                raise RefusedError(RefusalReason.BAD_REQUEST, effect.message)

    async def _subscribe(self, session: Conversation, wish: values.Subscribe) -> None:
        known = wish.has_base and wish.version <= self._coordinator.commits.version
        session.cursor = wish.version if known else None
        session.resume = (wish.snapshot_version, wish.snapshot_bytes)
        session.subscribed = True
        session.told_finish = False
        await self._coordinator.submit(core.Subscribed(session.device, max(1, min(wish.examples, 1 << 40))))
        session.wake.set()

    # -- speaking ----------------------------------------------------------------------------------------------

    async def _speak(self, session: Conversation, context: Context) -> None:
        while not session.fenced:
            session.wake.clear()
            await self._say_waiting_words(session, context)
            if not await self._advance(session, context):
                await session.wake.wait()
        raise RefusedError(RefusalReason.FENCED, "this device has opened a newer stream", retry_after_s=30)

    async def _say_waiting_words(self, session: Conversation, context: Context) -> None:
        while session.words:
            await context.write(wire.response(session.words.popleft()))

    async def _advance(self, session: Conversation, context: Context) -> bool:
        """Send the next thing that brings the device forward; whether there was one."""
        if not session.subscribed or not self._coordinator.open:
            return False
        commits = self._coordinator.commits
        if session.cursor is None or not commits.reaches(session.cursor):
            await self._send_snapshot(session, context)
            return True
        commit = commits.after(session.cursor)
        if commit is not None:
            await self._send_commit(session, commit, context)
            return True
        return await self._tell_finish(session, context)

    async def _tell_finish(self, session: Conversation, context: Context) -> bool:
        final = self._coordinator.final
        if final is None or session.told_finish or session.cursor != final.version:
            return False
        session.told_finish = True
        await context.write(wire.response(values.Finish(final.version, final.reason[:1024])))
        return True

    async def _send_commit(self, session: Conversation, commit: Commit, context: Context) -> None:
        epoch, through = commit.through.get(session.device, (0, 0))
        header: CommitHeader | None = CommitHeader(
            len(commit.payload), commit.buffer_bytes, through if epoch == session.epoch else 0
        )
        for offset in range(0, len(commit.payload), CHUNK_BYTES):
            data = commit.payload[offset : offset + CHUNK_BYTES]
            await context.write(wire.response(CommitChunk(commit.version, offset, data, header)))
            header = None
        session.cursor = self._coordinator.devices[session.device].version = commit.version
        self._coordinator.count_down(len(commit.payload))

    async def _send_snapshot(self, session: Conversation, context: Context) -> None:
        snapshot = await self._coordinator.snapshot()
        epoch, through = snapshot.through.get(session.device, (0, 0))
        header: SnapshotHeader | None = SnapshotHeader(
            len(snapshot.packed), snapshot.sha256, through if epoch == session.epoch else 0
        )
        version, held = session.resume
        start = held if version == snapshot.version and held < len(snapshot.packed) else 0
        session.resume = (0, 0)
        for offset in range(start, len(snapshot.packed), CHUNK_BYTES):
            data = snapshot.packed[offset : offset + CHUNK_BYTES]
            await context.write(wire.response(SnapshotChunk(snapshot.version, offset, data, header)))
            await self._say_waiting_words(session, context)
            header = None
        session.cursor = self._coordinator.devices[session.device].version = snapshot.version
        self._coordinator.count_down(len(snapshot.packed) - start)

    # -- goodbye -----------------------------------------------------------------------------------------------

    async def _refuse(self, refusal: values.Refusal, session: Conversation | None, context: Context) -> None:
        who = session.device if session else "a stranger"
        log.warning("stream refused", extra={"device": who, "reason": refusal.message})
        self._coordinator.metrics.refused.labels(refusal.reason.name.lower()).inc()
        with suppress(grpc.aio.BaseError, asyncio.InvalidStateError, TimeoutError):
            async with asyncio.timeout(REFUSAL_S):
                await context.write(wire.response(refusal))

    async def _leave(self, session: Conversation) -> None:
        # A fenced stream's place is taken already; its successor speaks for the device.
        if self._coordinator.sessions.get(session.device) is session:
            del self._coordinator.sessions[session.device]
            log.info("device gone", extra={"device": session.device})
            await asyncio.shield(self._coordinator.submit(core.Left(session.device)))


async def _first_word(requests: AsyncIterator[session_pb2.SessionRequest]) -> session_pb2.SessionRequest | None:
    try:
        async with asyncio.timeout(HELLO_S):
            return await anext(requests, None)
    except TimeoutError:
        raise RefusedError(RefusalReason.BAD_REQUEST, f"no Hello came within {HELLO_S:g} s") from None


def _certified_names(context: Context) -> list[str]:
    names = context.auth_context().get("x509_common_name", [])
    return [name.decode(errors="replace") for name in names]


def task_params_json(params: dict[str, object]) -> str:
    """A task's parameters as Welcome carries them."""
    return json.dumps(params, sort_keys=True)
