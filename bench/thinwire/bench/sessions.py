"""What does a connected device cost the coordinator that has nothing to say to it?"""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import AsyncExitStack

from thinwire.bench.lone import Lone, memory_bytes
from thinwire.bench.rows import Row, at_most, told
from thinwire.bench.scripted import ScriptedDevice

AT_ONCE = 32
SPARE_DESCRIPTORS = 200
TARGET_DEVICES, TARGET_BYTES = 2000, 150e6
# The training never begins, so nobody is sent a model.
SETS = ("aggregation.min_devices=1000000", "limits.max_devices=100000")


async def rows(devices: int) -> list[Row]:
    """Open that many sessions, each on a connection of its own, and leave them idle."""
    _allow_descriptors(devices + SPARE_DESCRIPTORS)
    with Lone.start("8x64", *SETS) as lone:
        before = memory_bytes(lone.process.pid)
        async with AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(ScriptedDevice(lone.address, f"device-{number}"))
                for number in range(devices)
            ]
            began = time.perf_counter()
            await _join_all(opened)
            took_s = time.perf_counter() - began
            after = memory_bytes(lone.process.pid)
    source = f"{devices:,} devices, each with its own connection, plain text"
    whole = at_most if devices >= TARGET_DEVICES else _without_target
    return [
        told("transport", "coordinator memory for a session", (after - before) / devices / 1024, "KiB", source),
        whole("transport", f"coordinator with {devices:,} sessions", after / 1e6, "MB", source, TARGET_BYTES / 1e6),
        told("transport", f"opening {devices:,} sessions", took_s, "s", f"{source}, {AT_ONCE} at once"),
    ]


def _without_target(bench: str, name: str, value: float, unit: str, reference: str, _: float) -> Row:
    return told(bench, name, value, unit, reference)


async def _join_all(devices: list[ScriptedDevice]) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def join(device: ScriptedDevice) -> None:
        async with free:
            await device.dial().join()

    await asyncio.gather(*(join(device) for device in devices))


def _allow_descriptors(wanted: int) -> None:
    """For this process and the coordinator, which inherits it; raise OSError when the system says no."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        ceiling = hard if hard == resource.RLIM_INFINITY else max(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, ceiling))
