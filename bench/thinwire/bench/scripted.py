"""A device that follows a script: it says what it is told to, right or wrong, over real gRPC and without a trainer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc.aio
import numpy as np

from thinwire.client.outbox import SealedDelta
from thinwire.common import wire
from thinwire.common.channel import Options, client_options
from thinwire.common.codec import Packet, ValueCode, kept_of, pack, quantise
from thinwire.common.layout import Layout
from thinwire.common.values import FromCoordinator, FromDevice, Hello, Outcome, Sealed, Subscribe, Welcome
from thinwire.v1 import session_pb2

METHOD = "/thinwire.v1.FleetService/Session"
KEEPALIVE_S = 60.0
# Whoever waits longer than this for one word waits in vain.
PATIENCE_S = 30.0
W = TypeVar("W", bound=FromCoordinator)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stream ended: the words that were still to be read, then a status."""

    words: tuple[FromCoordinator, ...]
    code: grpc.StatusCode
    details: str


class EndedError(Exception):
    """The stream ended while a word was waited for."""


class Stream:
    """One call; cancelled when the block ends, unless it has ended before."""

    def __init__(self, call: Any, device: str) -> None:
        self._call, self._device = call, device

    async def say(self, *words: FromDevice | bytes) -> None:
        """Send words in order; bytes go out as they are, whatever they mean."""
        for word in words:
            async with asyncio.timeout(PATIENCE_S):
                await self._call.write(word if isinstance(word, bytes) else wire.request(word).SerializeToString())

    async def hear(self) -> FromCoordinator:
        """The next word; raise EndedError when there is none."""
        async with asyncio.timeout(PATIENCE_S):
            message = await self._call.read()
        if message is grpc.aio.EOF:
            raise EndedError(await self._call.code())
        return wire.from_response(message)

    async def hear_a(self, kind: type[W]) -> W:
        """The next word of that kind; others before it are let pass."""
        while not isinstance(word := await self.hear(), kind):
            pass
        return word

    async def greet(self, lineage: bytes = b"", epoch: int = 0, unsettled: Sequence[Sealed] = ()) -> Welcome:
        """Say Hello as an honest device does."""
        await self.say(Hello(self._device, lineage=lineage, epoch=epoch, unsettled=tuple(unsettled)))
        return await self.hear_a(Welcome)

    async def join(self, version: int | None = None) -> Welcome:
        """Greet and subscribe, by default without any model."""
        welcome = await self.greet()
        await self.say(Subscribe(version is not None, version or 0))
        return welcome

    async def deliver(self, delta: SealedDelta) -> Outcome:
        """Send a delta whole and wait for what becomes of it."""
        await self.say(*delta.chunks(0))
        return await self.hear_a(Outcome)

    async def ending(self) -> Ending:
        """Read until the stream ends."""
        words: list[FromCoordinator] = []
        try:
            while True:
                words.append(await self.hear())
        except EndedError:
            pass
        except grpc.aio.AioRpcError:
            pass  # the call knows its own status
        return Ending(tuple(words), await self._call.code(), await self._call.details())

    async def stop_speaking(self) -> None:
        """End this side of the stream politely."""
        await self._call.done_writing()

    def hang_up(self) -> None:
        """Cancel the call."""
        self._call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up()


class ScriptedDevice:
    """A device with a channel of its own, on which it opens as many streams as the script says."""

    def __init__(
        self,
        address: str,
        name: str,
        options: Options | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.name = name
        chosen = client_options(KEEPALIVE_S) if options is None else options
        self.channel = (
            grpc.aio.secure_channel(address, credentials, chosen)
            if credentials
            else grpc.aio.insecure_channel(address, chosen)
        )

    def dial(self) -> Stream:
        """Open a stream; nothing is said on it yet."""
        method = self.channel.stream_stream(
            METHOD, request_serializer=bytes, response_deserializer=session_pb2.SessionResponse.FromString
        )
        return Stream(method(), self.name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.channel.close()


def delta_of(
    layout: Layout, seq: int, *, base: int = 0, density: float = 0.01, code: ValueCode = ValueCode.LOG3
) -> SealedDelta:
    """A sealed delta of random values at random places; `seq` is also its seed."""
    dice = np.random.default_rng(seq)
    kept = kept_of(density, layout.size)
    index_K = np.sort(dice.choice(layout.size, kept, replace=False)).astype(np.int64)
    quantised = quantise(dice.standard_normal(kept, np.float32) * np.float32(1e-3), code)
    payload = pack(Packet(layout.hash, base, layout.size, index_K, quantised))
    return SealedDelta.seal(seq, payload, buffer_bytes=0, steps=10, loss=1.0)
