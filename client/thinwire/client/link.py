"""The agent's stream to the coordinator over gRPC: one channel, one call at a time, cancelled explicitly."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc.aio

from thinwire.common import wire
from thinwire.common.channel import client_credentials, client_options
from thinwire.common.errors import SettingsError
from thinwire.common.settings import AgentSettings
from thinwire.common.values import FromCoordinator, FromDevice
from thinwire.v1 import session_pb2_grpc

Call = Any  # grpc.aio.StreamStreamCall; its type parameters differ between releases of the stubs


class GrpcLink:
    """Dials; then words go out in order, and each word that comes in is handed to `heard`."""

    def __init__(self, settings: AgentSettings) -> None:
        self._channel = _channel(settings)
        # The generated stub serves both worlds; its asynchronous type is a twin that exists for checkers only.
        self._stub: Any = session_pb2_grpc.FleetServiceStub(self._channel)
        self._words: deque[FromDevice] = deque()
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._hanging_up: str | None = None

    def say(self, word: FromDevice) -> None:
        """Send this after everything said before."""
        self._words.append(word)
        self._drained.clear()
        self._wake.set()

    def hang_up(self, reason: str) -> None:
        """End the stream."""
        self._hanging_up = reason
        self._wake.set()

    async def talk(self, opened: Callable[[], None], heard: Callable[[FromCoordinator], None]) -> str:
        """Open one stream and live through it; give the reason of its end."""
        self._words.clear()
        self._hanging_up = None
        call: Call = self._stub.Session()
        try:
            opened()
            return await self._converse(call, heard)
        except grpc.aio.AioRpcError as error:
            return _in_words(error)
        except wire.WireError as error:
            return f"the coordinator said something odd: {error}"
        finally:
            # An abandoned call is never collected and the server never hears of it (grpc 43462).
            call.cancel()

    async def _converse(self, call: Call, heard: Callable[[FromCoordinator], None]) -> str:
        reader = asyncio.create_task(self._listen(call, heard), name="listen")
        writer = asyncio.create_task(self._speak(call), name="speak")
        try:
            done, _ = await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
            # The reader knows the status of the call; the writer only that it cannot write.
            if reader not in done and self._hanging_up is None:
                with suppress(TimeoutError):
                    return await asyncio.wait_for(asyncio.shield(reader), 1.0)
            return next(iter(done)).result()
        finally:
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    async def _listen(self, call: Call, heard: Callable[[FromCoordinator], None]) -> str:
        while True:
            message = await call.read()
            if message is grpc.aio.EOF:
                return "the coordinator ended the stream"
            heard(wire.from_response(message))

    async def _speak(self, call: Call) -> str:
        while self._hanging_up is None:
            self._wake.clear()
            while self._words:
                try:
                    await call.write(wire.request(self._words.popleft()))
                except asyncio.InvalidStateError:
                    return "the stream is closed"
            self._drained.set()
            if self._hanging_up is None:
                await self._wake.wait()
        return self._hanging_up

    async def drain(self) -> None:
        """Wait until everything said has been handed to gRPC."""
        await self._drained.wait()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def _channel(settings: AgentSettings) -> grpc.aio.Channel:
    options = client_options(settings.link.keepalive)
    if not settings.tls.enabled:
        return grpc.aio.insecure_channel(settings.coordinator.address, options)
    try:
        return grpc.aio.secure_channel(
            settings.coordinator.address, client_credentials(settings.tls), options
        )
    except OSError as error:
        raise SettingsError(f"tls: {error}") from None


def _in_words(error: grpc.aio.AioRpcError) -> str:
    details = (error.details() or "no details")[:200]
    return f"{error.code().name}: {details}"
