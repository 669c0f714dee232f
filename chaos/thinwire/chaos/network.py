"""The fleet's lines as a process: a namespace and a pair of TUN devices for each device, or a proxy on loopback.

    python -m thinwire.chaos.network {"kind": "namespaces", "lines": "mixed", "devices": 4, "seed": 1, "port": 8470}

says where each device is and what it dials, a JSON line for each. Then it takes orders as JSON lines on its standard
input, `{"device": 0, "cut": true}`, answers `{"device": 0}` with the bytes that its line has carried, and ends when
that input ends, with a line of what became of the packets.

    hub, where the coordinator is           device 3
    10.77.3.1 ─ tun d3 ─► wire down ─► tun line ─ 10.77.3.2
                       ◄─ wire up   ◄─
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter
from contextlib import suppress
from typing import Protocol

import msgspec

from thinwire.chaos import namespaces
from thinwire.chaos.wire import LineProfile, Wire, lines_of
from thinwire.common.address import Address
from thinwire.common.link import LinkProfile
from thinwire.demo.link import Link

MAX_PACKET = 65536
# Packets that are taken in one go; the others' turn comes in between.
AT_ONCE = 64


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is asked for."""

    kind: str
    lines: str
    devices: int
    seed: int
    port: int


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Cut a device's line, or let it go; None asks what it has carried."""

    device: int
    cut: bool | None = None


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that a line has delivered; with the headers of IP when it carries packets."""

    up: int
    down: int


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a device is: the address it dials, its line in words, and its namespace's file, "" for this one."""

    device: int
    line: str
    address: str
    namespace: str


class Line(Protocol):
    """What an order can be about."""

    def cut(self, cut: bool) -> None:
        """Let nothing through, or let it go."""

    def carried(self) -> Carried:
        """Bytes that it has delivered."""

    def counts(self) -> dict[str, int]:
        """What became of packets."""


class TunLine:
    """One device's line between two TUN devices."""

    def __init__(self, hub: int, device: int, profile: LineProfile, dice: random.Random) -> None:
        self._up, self._down = Wire(profile.up, dice), Wire(profile.down, dice)
        _Carrier(self._up, device, hub)
        _Carrier(self._down, hub, device)

    def cut(self, cut: bool) -> None:
        """Let nothing through, or let it go."""
        self._up.cut = self._down.cut = cut

    def carried(self) -> Carried:
        """Bytes that it has delivered."""
        return Carried(up=self._up.bytes_delivered, down=self._down.bytes_delivered)

    def counts(self) -> dict[str, int]:
        """What became of packets, both ways."""
        return dict(self._up.counts + self._down.counts)


class _Carrier:
    """Carries packets from one TUN device over a wire to the other, as long as the loop runs."""

    def __init__(self, wire: Wire, source: int, sink: int) -> None:
        self._wire, self._source, self._sink = wire, source, sink
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(source, self._take)

    def _take(self) -> None:
        with suppress(BlockingIOError):
            for _ in range(AT_ONCE):
                self._wire.send(os.read(self._source, MAX_PACKET), self._loop.time())
        self._deliver()

    def _deliver(self) -> None:
        for packet in self._wire.due(self._loop.time()):
            # A full device drops, as a line does.
            with suppress(BlockingIOError):
                os.write(self._sink, packet)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._wire.deadline
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._deliver)


class LoopbackLine:
    """One device's line as a TCP proxy: delay and rate, but neither loss nor reordering."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def cut(self, cut: bool) -> None:
        """Silence, or go on."""
        if cut:
            self._link.cut()
        else:
            self._link.restore()

    def carried(self) -> Carried:
        """Bytes that it has delivered."""
        return Carried(up=self._link.bytes_up, down=self._link.bytes_down)

    def counts(self) -> dict[str, int]:
        """A proxy sees bytes, not packets."""
        return {"bytes_up": self._link.bytes_up, "bytes_down": self._link.bytes_down}


async def serve(plan: Plan) -> None:
    """Lay the lines, say where they are, and obey until standard input ends."""
    profiles = lines_of(plan.lines)
    lay = _lay_tun if plan.kind == "namespaces" else _lay_loopback
    lines = [await lay(device, profiles[device % len(profiles)], plan) for device in range(plan.devices)]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while text := await reader.readline():
        order = msgspec.json.decode(text, type=Order)
        if order.cut is None:
            _say(lines[order.device].carried())
        else:
            lines[order.device].cut(order.cut)
    _say(dict(sum((Counter(line.counts()) for line in lines), Counter[str]())))


async def _lay_tun(device: int, profile: LineProfile, plan: Plan) -> Line:
    hub = namespaces.here()
    hub_end, device_end = f"10.77.{device}.1", f"10.77.{device}.2"
    hub_tun = namespaces.open_tun(f"d{device}", hub_end, device_end)
    own = namespaces.unshare()
    device_tun = namespaces.open_tun("line", device_end, hub_end)
    namespaces.enter(hub)
    os.close(hub)
    line = TunLine(hub_tun, device_tun, profile, random.Random(f"{plan.seed} line {device}"))
    at = f"/proc/{os.getpid()}/fd/{own}"
    _say(Place(device=device, line=profile.name, address=f"{hub_end}:{plan.port}", namespace=at))
    return line


async def _lay_loopback(device: int, profile: LineProfile, plan: Plan) -> Line:
    up, down = profile.up, profile.down
    as_link = LinkProfile(up.delay_s + down.delay_s, min(up.rate_bps, down.rate_bps), max(up.jitter_s, down.jitter_s))
    link = Link(Address("127.0.0.1", plan.port), as_link)
    await link.start()
    _say(Place(device=device, line=profile.name, address=f"127.0.0.1:{link.port}", namespace=""))
    return LoopbackLine(link)


def _say(fact: object) -> None:
    print(msgspec.json.encode(fact).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(msgspec.convert(json.loads(sys.argv[1]), Plan)))
