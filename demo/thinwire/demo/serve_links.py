"""Emulated links as a process: JSON lines say where they are, and at the end what went through."""

import asyncio
import json
import signal

from thinwire.common.address import Address
from thinwire.common.errors import SettingsError
from thinwire.common.exits import Exit
from thinwire.common.link import LinkProfile
from thinwire.demo.link import Link


def run(listen: Address, to: Address, profile: LinkProfile | None, count: int) -> int:
    """Serve `count` links until SIGINT or SIGTERM."""
    return asyncio.run(_serve(listen, to, profile, count))


async def _serve(listen: Address, to: Address, profile: LinkProfile | None, count: int) -> int:
    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number, code in ((signal.SIGTERM, Exit.OK), (signal.SIGINT, Exit.INTERRUPT)):
        asyncio.get_running_loop().add_signal_handler(number, _stop, stopped, code)
    links: list[Link] = []
    try:
        for index in range(count):
            links.append(_opened(listen, index, to, profile))
            await links[-1].start()
            _say(link=index, port=links[-1].port)
        return await stopped
    finally:
        for index, link in enumerate(links):
            _say(link=index, port=link.port, bytes_up=link.bytes_up, bytes_down=link.bytes_down)
            await link.close()


def _stop(stopped: "asyncio.Future[int]", code: Exit) -> None:
    if not stopped.done():
        stopped.set_result(code)


def _opened(listen: Address, index: int, to: Address, profile: LinkProfile | None) -> Link:
    port = listen.port + index if listen.port else 0
    try:
        return Link(to, profile, Address(listen.host, port))
    except (OSError, OverflowError) as error:
        raise SettingsError(f"--listen {listen.host}:{port} cannot be used: {error}") from error


def _say(**facts: int) -> None:
    print(json.dumps(facts), flush=True)
