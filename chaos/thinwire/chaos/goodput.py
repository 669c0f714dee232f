"""How much of a bad line reaches the ledger: accepted deltas against raw TCP, over the very same line in one run.

    5 % loss each way, 200 ms round trip, 1 Mbit/s, with the kernel's own TCP

The two take turns, each on a line of its own with the same seed, so both meet the same weather; what TCP makes of such
a line differs much from try to try, hence the rounds. A sender is a process in the device's namespace:

    python -m thinwire.chaos.goodput tcp|deltas HOST:PORT

says how many seconds it took from its first byte to the last answer.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop

from thinwire.bench.lone import Lone
from thinwire.bench.loopback import model_of
from thinwire.bench.rows import Row, at_least, told
from thinwire.bench.scripted import ScriptedDevice, delta_of
from thinwire.chaos import namespaces
from thinwire.chaos.lines import Lines
from thinwire.chaos.network import Place, Plan
from thinwire.common.address import parse_address
from thinwire.common.codec import ValueCode
from thinwire.common.errors import TaskError
from thinwire.common.values import Outcome, Verdict
from thinwire.demo.fleet import free_port

PARAMETERS = 50_000  # dense in float32: three chunks and more that no compressor makes much smaller
DELTAS = 3
PAYLOAD_BYTES = 600_000
LINE = "lossy"


def run(rounds: int) -> list[Row]:
    """Let both take turns; raise TaskError where the machine allows no namespaces."""
    if why := namespaces.why_not():
        raise TaskError(f"this machine emulates no lines: {why}")
    raw, accepted = [], []
    for seed in range(rounds):
        with _line(seed) as (place, port), _sink(place.address):
            raw.append(_sent(place, "tcp", port))
        with _line(seed) as (place, port), _coordinator(place.address):
            accepted.append(_sent(place, "deltas", port))
    return _rows(raw, accepted)


def _rows(raw: list[tuple[int, float]], accepted: list[tuple[int, float]]) -> list[Row]:
    source = f"5 % loss, 200 ms, 1 Mbit/s, {len(raw)} rounds of {PAYLOAD_BYTES:,} B"
    tcp_bps, delta_bps = (8 * sum(b for b, _ in tries) / sum(s for _, s in tries) for tries in (raw, accepted))
    return [
        told("goodput", "raw TCP", tcp_bps / 1e6, "Mbit/s", source),
        told("goodput", "accepted deltas", delta_bps / 1e6, "Mbit/s", source),
        at_least("goodput", "accepted deltas against raw TCP", 100 * delta_bps / tcp_bps, "%", source, 70),
    ]


@contextmanager
def _line(seed: int) -> Iterator[tuple[Place, int]]:
    port = free_port()
    with Lines(Plan(kind="namespaces", lines=LINE, devices=1, seed=seed, port=port)) as lines:
        yield lines.places[0], port


@contextmanager
def _sink(address: str) -> Iterator[None]:
    """Takes one connection, reads all of it, and answers with one byte."""
    at = parse_address(address)
    with socket.create_server((at.host, at.port)) as server:
        threading.Thread(target=_swallow, args=(server,), daemon=True).start()
        yield


def _swallow(server: socket.socket) -> None:
    taken, _ = server.accept()
    with taken:
        while taken.recv(65536):
            pass
        taken.sendall(b"!")


@contextmanager
def _coordinator(address: str) -> Iterator[None]:
    sets = (f'listen.address="{address}"', "listen.insecure=true", "density.up=1.0", "density.down=0.001")
    with Lone.start(f"1x{PARAMETERS}", *sets, "aggregation.buffer=100"):
        yield


def _sent(place: Place, what: str, port: int) -> tuple[int, float]:
    command = [sys.executable, "-m", "thinwire.chaos.goodput", what, place.address]
    done = subprocess.run(
        ["nsenter", f"--net={place.namespace}", *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TaskError(f"the sender of {what} on port {port} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    sent, seconds = done.stdout.split()
    return int(sent), float(seconds)


# -- the sender, in the device's namespace -------------------------------------------------------------------------


def _send_raw(address: str) -> tuple[int, float]:
    at = parse_address(address)
    with socket.create_connection((at.host, at.port)) as line:
        began = time.perf_counter()
        line.sendall(bytes(PAYLOAD_BYTES))
        line.shutdown(socket.SHUT_WR)
        line.recv(1)
        return PAYLOAD_BYTES, time.perf_counter() - began


async def _send_deltas(address: str) -> tuple[int, float]:
    layout = model_of(1, PARAMETERS).layout
    deltas = [delta_of(layout, seq, density=1.0, code=ValueCode.FP32) for seq in range(1, DELTAS + 1)]
    async with ScriptedDevice(address, "sender") as device, device.dial() as stream:
        await stream.join(version=0)
        began = time.perf_counter()
        await stream.say(*(chunk for delta in deltas for chunk in delta.chunks(0)))
        for _ in deltas:
            if (await stream.hear_a(Outcome)).verdict is not Verdict.ACCEPTED:
                raise TaskError("a delta was rejected")
        return sum(len(delta.payload) for delta in deltas), time.perf_counter() - began


if __name__ == "__main__":
    _what, _address = sys.argv[1:]
    sent_bytes, took_s = _send_raw(_address) if _what == "tcp" else uvloop.run(_send_deltas(_address))
    print(sent_bytes, took_s)
