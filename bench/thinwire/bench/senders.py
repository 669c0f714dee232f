"""How many deltas a second does one coordinator take, from eight devices at once?

Each sender keeps a few deltas under way, as an agent's window does, and follows every commit. Senders and coordinator
share the machine, so the coordinator's own processor time is measured too: deltas a second of that are what one core
could take if the senders were elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace

from thinwire.bench.lone import Lone
from thinwire.bench.rows import Row, told
from thinwire.bench.scripted import ScriptedDevice, Stream, delta_of
from thinwire.client.outbox import SealedDelta
from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.values import Outcome, Verdict

SENDERS = 8
UNDER_WAY = 4
DENSITY = 0.01
WARM_DELTAS = 16
SETS = (
    f"aggregation.buffer={SENDERS}",
    "aggregation.max_staleness=1000000",
    f"density.up={DENSITY}",
    f"density.down={DENSITY}",
)


async def rows(name: str, shape: tuple[int, int], deltas: int) -> list[Row]:
    """Send that many deltas from each sender to a model of that shape."""
    layout = Layout((TensorSpec("weight", shape),))
    with Lone.start("x".join(map(str, shape)), *SETS) as lone:
        async with AsyncExitStack() as stack:
            streams = [await _joined(stack, lone, number) for number in range(SENDERS)]
            sample = [delta_of(layout, number + 1, density=DENSITY) for number in range(SENDERS)]
            await _together(streams, sample, 1, WARM_DELTAS)
            began, began_cpu = time.perf_counter(), lone.cpu_s
            await _together(streams, sample, 1 + WARM_DELTAS, deltas)
            took_s, took_cpu_s = time.perf_counter() - began, lone.cpu_s - began_cpu
    total = SENDERS * deltas
    each = f"{layout.size:,} parameters, 1 %, {len(sample[0].payload):,} B each"
    source = f"{each}, {SENDERS} senders, a commit for every {SENDERS}"
    return [
        told("transport", f"deltas of {name}, a second", total / took_s, "1/s", source),
        told("transport", f"deltas of {name}, a second of one core", total / took_cpu_s, "1/s", source),
    ]


async def _joined(stack: AsyncExitStack, lone: Lone, number: int) -> Stream:
    device = await stack.enter_async_context(ScriptedDevice(lone.address, f"sender-{number}"))
    stream = await stack.enter_async_context(device.dial())
    await stream.join(version=0)
    return stream


async def _together(streams: list[Stream], sample: list[SealedDelta], first: int, deltas: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for stream, delta in zip(streams, sample, strict=True):
            tasks.create_task(_send(stream, delta, first, deltas))


async def _send(stream: Stream, delta: SealedDelta, first: int, deltas: int) -> None:
    room = asyncio.Semaphore(UNDER_WAY)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_count(stream, room, deltas))
        for seq in range(first, first + deltas):
            await room.acquire()
            await stream.say(*replace(delta, seq=seq).chunks(0))


async def _count(stream: Stream, room: asyncio.Semaphore, deltas: int) -> None:
    for _ in range(deltas):
        outcome = await stream.hear_a(Outcome)
        if outcome.verdict is not Verdict.ACCEPTED:
            raise RuntimeError(f"a delta was rejected: {outcome.message}")
        room.release()
