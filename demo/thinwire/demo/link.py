"""A thin link in user space: a TCP proxy on loopback that delays, paces and counts.

    device ──► port │ lane up   ──► rate, rtt/2 ──► │ coordinator
           ◄──      │ lane down ◄── rate, rtt/2 ◄── │

Each device has a `Link` of its own, hence a port of its own; all connections through it share its two lanes,
as they would share its modem. A new connection waits one round trip before its first byte moves, as a TCP
handshake does. What the lane cannot send yet is left in the sender's socket, so that the sender feels the
link's rate; the proxy holds at most what is on its way plus `_QUEUE_S` of the rate. Bytes are those of the
TCP stream, without the headers of TCP and IP.

`cut` is silence, as in a tunnel: nothing moves, nothing is lost, connections live on until a side gives up.
`drop` is a reset, as from a NAT box that restarts: open connections break at once.
"""

import asyncio
import contextlib
import math
import random
import socket
import struct
from collections import deque
from collections.abc import Coroutine, Iterator
from typing import Any, Self

from thinwire.common.address import Address
from thinwire.common.link import Lane, LinkProfile

LOOPBACK = Address("127.0.0.1", 0)
_AS_IT_IS = LinkProfile(rtt_s=0.0, rate_bps=math.inf)
# A modem's own buffer: long enough to keep the lane busy, short enough that the sender feels the rate.
_QUEUE_S = 0.05
# Pieces of this much time at the rate keep the delivery smooth without waking for every packet.
_PIECE_S = 0.005
_PIECE_MIN, _PIECE_MAX = 1448, 65536
# What the kernel may take in before the proxy reads it.
_RECEIVE_MIN, _RECEIVE_MAX = 16384, 2**20
# Held for one flow at most, whatever the profile promises.
_HELD_MAX = 16 * 2**20
# A device has one connection, and for a moment a second one when it comes back.
_MAX_CONNECTIONS = 64


class Link:
    """One device's way to the coordinator; `async with` starts and closes it."""

    def __init__(self, to: Address, profile: LinkProfile | None, listen: Address = LOOPBACK) -> None:
        profile = profile or _AS_IT_IS
        self._to = to
        self._handshake_s = profile.rtt_s
        self._listener = socket.create_server((listen.host, listen.port), backlog=_MAX_CONNECTIONS)
        self._open = asyncio.Event()
        self._open.set()
        # Jitter needs no secret; a link that is started again behaves the same.
        dice = random.Random(0)
        self._up = _Direction(profile, self._open, dice)
        self._down = _Direction(profile, self._open, dice)
        _prepare(self._listener, self._up)
        self._connections: set[asyncio.Task[None]] = set()
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where the device dials."""
        return int(self._listener.getsockname()[1])

    @property
    def bytes_up(self) -> int:
        """Bytes delivered to the coordinator."""
        return self._up.delivered

    @property
    def bytes_down(self) -> int:
        """Bytes delivered to the device."""
        return self._down.delivered

    async def start(self) -> None:
        """Take connections."""
        self._serving = asyncio.create_task(self._serve())

    async def close(self) -> None:
        """Break what is open and give the port back."""
        if self._serving:
            self._serving.cancel()
            await asyncio.wait([self._serving])
        self._listener.close()

    def cut(self) -> None:
        """Let nothing move until `restore`; nothing is lost, and no connection breaks by itself."""
        self._open.clear()

    def restore(self) -> None:
        """Let everything move again."""
        self._open.set()

    def drop(self) -> None:
        """Reset every open connection, on both sides."""
        for connection in self._connections:
            connection.cancel()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            while True:
                device, _ = await loop.sock_accept(self._listener)
                if len(self._connections) >= _MAX_CONNECTIONS:
                    device.close()
                    continue
                connection = tasks.create_task(self._carry(device))
                self._connections.add(connection)
                connection.add_done_callback(self._connections.discard)

    async def _carry(self, device: socket.socket) -> None:
        """Connect one device's connection through, and carry it until both sides have ended it."""
        coordinator = socket.socket(socket.AF_INET6 if ":" in self._to.host else socket.AF_INET)
        with _ending_alike(device, coordinator):
            _prepare(device, self._up)
            _prepare(coordinator, self._down)
            await asyncio.sleep(self._handshake_s)
            await self._open.wait()
            await asyncio.get_running_loop().sock_connect(coordinator, (self._to.host, self._to.port))
            up = _Flow(self._up, device, coordinator)
            down = _Flow(self._down, coordinator, device)
            await _together(up.read(), up.deliver(), down.read(), down.deliver())


class _Direction:
    """What all flows of one direction share: the lane, its state and its count."""

    def __init__(self, profile: LinkProfile, open: asyncio.Event, dice: random.Random) -> None:
        self.lane = Lane(profile)
        self.open = open
        self.dice = dice
        self.delivered = 0
        rate = profile.rate_bps / 8
        self.piece_bytes = int(min(max(rate * _PIECE_S, _PIECE_MIN), _PIECE_MAX))
        on_its_way = rate * (profile.rtt_s / 2 + profile.jitter_s + _QUEUE_S)
        self.receive_buffer = int(min(max(rate * _QUEUE_S, _RECEIVE_MIN), _RECEIVE_MAX))
        self.held_max = int(min(max(on_its_way, 2 * _PIECE_MAX), _HELD_MAX))


class _Flow:
    """One direction of one connection."""

    def __init__(self, direction: _Direction, source: socket.socket, sink: socket.socket) -> None:
        self._direction = direction
        self._source = source
        self._sink = sink
        self._on_its_way: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._changed = asyncio.Condition()

    async def read(self) -> None:
        """Put the source's bytes on their way, until it has ended."""
        loop = asyncio.get_running_loop()
        direction = self._direction
        piece = b"-"
        while piece:
            await asyncio.sleep(direction.lane.wait_s(loop.time()) - _QUEUE_S)
            await direction.open.wait()
            async with self._changed:
                await self._changed.wait_for(lambda: self._held <= direction.held_max)
            piece = await loop.sock_recv(self._source, direction.piece_bytes)
            arrival = direction.lane.send(len(piece), loop.time(), direction.dice)
            async with self._changed:
                self._on_its_way.append((arrival, piece))
                self._held += len(piece)
                self._changed.notify_all()

    async def deliver(self) -> None:
        """Hand them to the sink when they arrive, and then the source's end."""
        loop = asyncio.get_running_loop()
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._on_its_way)
                arrival, piece = self._on_its_way.popleft()
            await asyncio.sleep(arrival - loop.time())
            await self._direction.open.wait()
            if not piece:
                self._sink.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(self._sink, piece)
            self._direction.delivered += len(piece)
            async with self._changed:
                self._held -= len(piece)
                self._changed.notify_all()


async def _together(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all parts; the first that fails ends the others and is raised as it is, in no group."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@contextlib.contextmanager
def _ending_alike(device: socket.socket, coordinator: socket.socket) -> Iterator[None]:
    """Close both sides at the end; with a reset, unless the block reached its own end."""
    whole = False
    try:
        yield
        whole = True
    except OSError:
        pass  # A side that hangs up or resets is no fault of the link's; the other side is to feel it.
    finally:
        for side in (device, coordinator):
            if not whole:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            side.close()


def _prepare(connection: socket.socket, direction: _Direction) -> None:
    """Let the kernel hold little on the proxy's side, or a sender would believe its bytes are through."""
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, direction.receive_buffer)
