"""The emulated link delays, paces, cuts, and pushes back; the bounds are wide, for a real clock measures."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest

from thinwire.common.address import Address
from thinwire.common.link import LinkProfile
from thinwire.demo.link import Link

FAST = LinkProfile(rtt_s=0.02, rate_bps=80e6)


@asynccontextmanager
async def echo() -> AsyncIterator[Address]:
    """A coordinator that says back what it hears."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while heard := await reader.read(65536):
                writer.write(heard)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])


@asynccontextmanager
async def dialled(link: Link) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def round_trip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int = 1) -> float:
    start = asyncio.get_running_loop().time()
    writer.write(bytes(size))
    await reader.readexactly(size)
    return asyncio.get_running_loop().time() - start


async def test_a_byte_takes_the_round_trip() -> None:
    async with echo() as to, Link(to, LinkProfile(0.1, 80e6)) as link, dialled(link) as (reader, writer):
        connecting = await round_trip(reader, writer)
        assert connecting >= 0.199, "a new connection takes one round trip more"
        assert 0.099 <= await round_trip(reader, writer) < 0.2


async def test_many_bytes_take_their_time_at_the_rate() -> None:
    profile = LinkProfile(rtt_s=0.0, rate_bps=8e6)
    async with echo() as to, Link(to, profile) as link, dialled(link) as (reader, writer):
        took = await round_trip(reader, writer, size=300_000)
        assert 0.299 <= took < 0.6
        assert (link.bytes_up, link.bytes_down) == (300_000, 300_000)


async def test_two_connections_share_the_rate() -> None:
    profile = LinkProfile(rtt_s=0.0, rate_bps=8e6)
    async with echo() as to, Link(to, profile) as link, dialled(link) as one, dialled(link) as other:
        took = await asyncio.gather(round_trip(*one, size=100_000), round_trip(*other, size=100_000))
        assert max(took) >= 0.199


async def test_what_arrives_is_what_was_sent() -> None:
    message = bytes(range(256)) * 2000
    async with echo() as to, Link(to, FAST) as link, dialled(link) as (reader, writer):
        writer.write(message)
        writer.write_eof()
        assert await reader.read(-1) == message


async def test_a_cut_is_silence_and_nothing_is_lost() -> None:
    async with echo() as to, Link(to, FAST) as link, dialled(link) as (reader, writer):
        await round_trip(reader, writer)
        link.cut()
        writer.write(b"through the tunnel")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        link.restore()
        assert await reader.readexactly(18) == b"through the tunnel"


async def test_whoever_dials_while_it_is_cut_hears_nothing_until_it_is_restored() -> None:
    async with echo() as to, Link(to, FAST) as link:
        link.cut()
        async with dialled(link) as (reader, writer):
            asked = asyncio.ensure_future(round_trip(reader, writer))
            done, _ = await asyncio.wait([asked], timeout=0.1)
            assert not done
            link.restore()
            await asked


async def test_a_drop_resets_open_connections_but_new_ones_work() -> None:
    async with echo() as to, Link(to, FAST) as link:
        async with dialled(link) as (reader, writer):
            await round_trip(reader, writer)
            link.drop()
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
        async with dialled(link) as (reader, writer):
            await round_trip(reader, writer)


async def test_a_coordinator_that_is_not_there_resets_the_device() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        nobody = Address("127.0.0.1", reserved.getsockname()[1])
    async with Link(nobody, FAST) as link, dialled(link) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read(1)


async def test_a_coordinator_that_does_not_read_stops_the_sender() -> None:
    """What a device can send is bounded by buffers, not by how long it goes on."""
    loop = asyncio.get_running_loop()
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf, closing(socket.socket()) as device:
        async with Link(Address("127.0.0.1", deaf.getsockname()[1]), LinkProfile(0.02, 800e6)) as link:
            device.setblocking(False)
            await loop.sock_connect(device, ("127.0.0.1", link.port))
            sent = 0
            while sent < 64 * 2**20 and await may_send(device, within_s=0.2):
                sent += device.send(bytes(2**16))
            assert sent < 64 * 2**20


async def may_send(connection: socket.socket, within_s: float) -> bool:
    """Whether the kernel takes more of what is to be sent, in time."""
    loop = asyncio.get_running_loop()
    writable = asyncio.Event()
    loop.add_writer(connection, writable.set)
    try:
        async with asyncio.timeout(within_s):
            await writable.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_writer(connection)
    return True


async def test_a_closed_link_takes_no_more_connections() -> None:
    async with echo() as to:
        async with Link(to, FAST) as link:
            port = link.port
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", port)
