"""A simulated device's line whose calls are real ones of gRPC."""

import asyncio

import grpc.aio

from thinwire.bench.scripted import EndedError, ScriptedDevice
from thinwire.common.values import DeltaChunk, FromCoordinator, FromDevice
from thinwire.sim.device import Device


class GrpcCall:
    """What a simulated device takes for a call of its line; here it is one of gRPC."""

    def __init__(self, line: "GrpcLine", device: Device) -> None:
        self.at_device, self.deaf = True, False
        self._line, self._device = line, device
        self._dialler = ScriptedDevice(line.address, device.name)
        self._stream = self._dialler.dial()
        self._outgoing: asyncio.Queue[FromDevice] = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]

    def say_up(self, word: FromDevice) -> None:
        """Send a word; a delta twice, if the line stammers."""
        self._outgoing.put_nowait(word)
        if self._line.stammers and isinstance(word, DeltaChunk):
            self._outgoing.put_nowait(word)

    def hang_up(self) -> None:
        """End it."""
        self.at_device = False
        self._stream.hang_up()

    async def close(self) -> None:
        """Leave nothing behind."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._dialler.__aexit__(None, None, None)

    async def _write(self) -> None:
        while True:
            await self._stream.say(await self._outgoing.get())

    async def _read(self) -> None:
        try:
            while True:
                self._hear(await self._stream.hear())
        except (EndedError, grpc.aio.AioRpcError, asyncio.CancelledError):
            if self.at_device:
                self.at_device = False
                self._device.closed(self, "the stream is gone")  # type: ignore[arg-type]  # a call in all it needs

    def _hear(self, word: FromCoordinator) -> None:
        if self.at_device and not self.deaf:
            self._device.heard(self, word)  # type: ignore[arg-type]


class GrpcLine:
    """A way to a coordinator that may move."""

    def __init__(self, address: str, *, stammers: bool) -> None:
        self.address, self.stammers = address, stammers
        self.up_bytes = self.down_bytes = 0
        self.calls: list[GrpcCall] = []

    def dial(self, device: Device, coordinator: object) -> GrpcCall:
        """Open a stream."""
        self.calls.append(GrpcCall(self, device))
        return self.calls[-1]

    async def lose_answers(self) -> None:
        """The coordinator hears all that is said now, and the device hears nothing of it."""
        call = self.calls[-1]
        call.deaf = True
        await asyncio.sleep(0.05)
        call._stream.hang_up()
