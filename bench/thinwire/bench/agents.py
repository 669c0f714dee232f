"""What does an agent weigh: idle, while a large snapshot streams through, and in bytes on an idle stream?

These are real agents, each with its trainer; only the agent's own process is counted.
"""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from thinwire.bench.lone import memory_bytes
from thinwire.bench.loopback import Serving, model_of, serving, settings_of
from thinwire.bench.rows import Row, at_most
from thinwire.server.evaluator import ModelDescription

TASK = 'tasks.line="thinwire.bench.line:Line"'
QUIET = ('state.dir="none"', 'logs.level="error"')
IDLE_TARGET_MB, SNAPSHOT_TARGET_MB, TRAFFIC_TARGET = 60.0, 80.0, 120.0
SNAPSHOT_SHAPE = (3500, 3950)  # 55 MB of random values, of which zstd leaves 51
PATIENCE_S = 120.0
REST_S = 3.0


async def idle_rows(minutes: float) -> list[Row]:
    """Connected and ready, while the training has not begun."""
    port = _free_port()
    settings = settings_of('task.id="line"', "aggregation.min_devices=2")
    async with serving(model_of(8, 64), settings) as served:
        with _agent(served, f'metrics.address="127.0.0.1:{port}"') as process:
            await _until(lambda: served.coordinator.core.roster.live == 1)
            before, began = await _traffic_at_rest(port), time.monotonic()
            await asyncio.sleep(60 * minutes)
            after, took_s = await asyncio.to_thread(_traffic, port), time.monotonic() - began
            memory = memory_bytes(process.pid, "VmHWM")
    source = f"connected for {minutes:g} min, training not begun"
    rate = (after - before) * 60 / took_s
    return [
        at_most("transport", "idle agent", memory / 1e6, "MB", source, IDLE_TARGET_MB),
        at_most("transport", "idle stream, both ways", rate, "B/min", f"{source}; TCP payload", TRAFFIC_TARGET),
    ]


async def snapshot_rows() -> list[Row]:
    """A snapshot of more than 50 MB passes through the agent to its trainer."""
    sizes = (f"task.params.outputs={SNAPSHOT_SHAPE[0]}", f"task.params.inputs={SNAPSHOT_SHAPE[1]}")
    thin = ("density.up=1e-4", "density.down=1e-4", "aggregation.mode=async")
    model: ModelDescription = model_of(*SNAPSHOT_SHAPE)
    async with serving(model, settings_of('task.id="line"', *sizes, *thin)) as served:
        with _agent(served) as process:
            # A version means that the trainer has its base, so the snapshot is through.
            await _until(lambda: served.coordinator.core.model.version >= 1)
            memory = memory_bytes(process.pid, "VmHWM")
            packed = served.coordinator.figures.totals.packed_down
    source = f"the most while {packed / 1e6:.0f} MB stream through"
    return [at_most("transport", "agent during a snapshot", memory / 1e6, "MB", source, SNAPSHOT_TARGET_MB)]


@contextmanager
def _agent(served: Serving, *sets: str) -> Iterator[subprocess.Popen[bytes]]:
    chosen = (f'coordinator.address="{served.address}"', 'device.name="device"', TASK, *QUIET, *sets)
    options = [option for setting in chosen for option in ("--set", setting)]
    process = subprocess.Popen([sys.executable, "-m", "thinwire.cli", "agent", *options], stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


async def _traffic_at_rest(port: int) -> float:
    """The count once the greeting is over; the agent looks at its sockets every second."""
    before, now = -1.0, await asyncio.to_thread(_traffic, port)
    while now != before:
        await asyncio.sleep(REST_S)
        before, now = now, await asyncio.to_thread(_traffic, port)
    return now


def _traffic(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    found = re.findall(r"^thinwire_agent_wire_(?:sent|received)_bytes (\S+)$", page, re.MULTILINE)
    return sum(map(float, found))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for is another process
            await asyncio.sleep(0.05)
