"""Eight devices that send deltas to one coordinator as fast as it takes them, and how fast that is.

Each sender keeps a few deltas under way, as an agent's window does, and follows every commit. Senders and coordinator
share the machine, so the coordinator's own processor time is measured too: deltas a second of that are what one core
could take if the senders were elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from thinwire.bench.lone import Lone
from thinwire.bench.scripted import ScriptedDevice, Stream, delta_of
from thinwire.client.outbox import SealedDelta
from thinwire.common.layout import Layout
from thinwire.common.values import Outcome, Verdict

SENDERS = 8
DENSITY = 0.01
SETS = (
    f"aggregation.buffer={SENDERS}",
    "aggregation.max_staleness=1000000",
    f"density.up={DENSITY}",
    f"density.down={DENSITY}",
)


@dataclass(slots=True)
class Taken:
    """What coordinators took: deltas, seconds, their own processor seconds, and how long each answer took."""

    deltas: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    answers_s: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Deltas a second."""
        return self.deltas / self.seconds

    @property
    def core_rate(self) -> float:
        """Deltas a second of the coordinator's processor time."""
        return self.deltas / self.cpu_s


def sample_of(layout: Layout) -> list[SealedDelta]:
    """A delta for each sender."""
    return [delta_of(layout, number + 1, density=DENSITY) for number in range(SENDERS)]


async def send(
    taken: Taken, lone: Lone, sample: Sequence[SealedDelta], deltas: int, *, under_way: int, warm: int
) -> None:
    """Send `deltas` from each sender, after `warm` that do not count, at most `under_way` of each at a time."""
    async with AsyncExitStack() as stack:
        streams = [await _joined(stack, lone, number) for number in range(SENDERS)]
        await _together(Taken(), streams, sample, 1, warm, under_way)
        began, began_cpu = time.perf_counter(), lone.cpu_s
        await _together(taken, streams, sample, 1 + warm, deltas, under_way)
        taken.seconds += time.perf_counter() - began
        taken.cpu_s += lone.cpu_s - began_cpu


async def _joined(stack: AsyncExitStack, lone: Lone, number: int) -> Stream:
    device = await stack.enter_async_context(ScriptedDevice(lone.address, f"sender-{number}"))
    stream = await stack.enter_async_context(device.dial())
    await stream.join(version=0)
    return stream


async def _together(
    taken: Taken, streams: Sequence[Stream], sample: Sequence[SealedDelta], first: int, deltas: int, under_way: int
) -> None:
    async with asyncio.TaskGroup() as tasks:
        for stream, delta in zip(streams, sample, strict=True):
            tasks.create_task(_send(taken, stream, delta, range(first, first + deltas), under_way))
    taken.deltas += deltas * len(streams)


async def _send(taken: Taken, stream: Stream, delta: SealedDelta, seqs: range, under_way: int) -> None:
    room, sent_at = asyncio.Semaphore(under_way), dict[int, float]()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_hear(taken, stream, room, sent_at, len(seqs)))
        for seq in seqs:
            await room.acquire()
            await stream.say(*replace(delta, seq=seq).chunks(0))
            sent_at[seq] = time.perf_counter()


async def _hear(taken: Taken, stream: Stream, room: asyncio.Semaphore, sent_at: dict[int, float], deltas: int) -> None:
    for _ in range(deltas):
        outcome = await stream.hear_a(Outcome)
        if outcome.verdict is not Verdict.ACCEPTED:
            raise RuntimeError(f"a delta was rejected: {outcome.message}")
        taken.answers_s.append(time.perf_counter() - sent_at.get(outcome.seq, time.perf_counter()))
        room.release()
