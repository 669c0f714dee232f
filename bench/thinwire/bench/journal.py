"""What does it cost that nothing is lost: deltas a second with and without the journal, and the way back after a kill.

    rate      eight senders keep deltas under way; coordinators with and without a journal take turns, so that a noisy
              machine is noisy for both
    answer    how long a device waits from its last byte to the outcome, which is on disk by then
    restart   SIGKILL with as much journal as there ever is between two checkpoints, until the next process serves

The coordinator is a process of its own, for 11.17 million parameters at 1 %; its own processor time tells what one core
could take if the senders were elsewhere.

    python -m thinwire.bench.journal [--quick] [--json]
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop

from thinwire.bench.lone import Lone
from thinwire.bench.rows import Row, at_least, at_most, main, told
from thinwire.bench.scripted import ScriptedDevice, Stream, delta_of
from thinwire.client.outbox import SealedDelta
from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.values import Outcome, Verdict

SHAPE = (3342, 3343)
SENDERS, UNDER_WAY = 8, 2
DENSITY = 0.01
SETS = (
    f"aggregation.buffer={SENDERS}",
    "aggregation.max_staleness=1000000",
    f"density.up={DENSITY}",
    f"density.down={DENSITY}",
)


@dataclass(slots=True)
class Taken:
    """What one coordinator took: deltas, seconds, its own processor seconds, and how long each answer took."""

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


def run(quick: bool = False) -> list[Row]:
    """Measure all of it."""
    return uvloop.run(_run(rounds=1 if quick else 3, deltas=8 if quick else 48))


async def _run(rounds: int, deltas: int) -> list[Row]:
    sample = [delta_of(Layout((TensorSpec("weight", SHAPE),)), n + 1, density=DENSITY) for n in range(SENDERS)]
    off, on = Taken(), Taken()
    with tempfile.TemporaryDirectory(prefix="thinwire-") as folder:
        for number in range(rounds):
            await _take(off, sample, deltas)
            await _take(on, sample, deltas, f'state.dir="{folder}/{number}"')
        restart_s = await _restart(sample, Path(folder) / "restart")
    return [
        *_rate_rows(off, on, len(sample[0].payload)),
        at_most("journal", "from SIGKILL to serving", restart_s, "s", "a full journal between two checkpoints", 5.0),
    ]


def _rate_rows(off: Taken, on: Taken, each: int) -> list[Row]:
    source = f"{SENDERS} senders, {UNDER_WAY} deltas of {each:,} B under way each, {on.deltas} deltas"
    answers = sorted(on.answers_s)
    p99_s = answers[int(0.99 * (len(answers) - 1))]
    return [
        at_least("journal", "accepted deltas a second of one core", on.core_rate, "1/s", source, 60),
        told("journal", "accepted deltas a second, senders on the same machine", on.rate, "1/s", source),
        told("journal", "the same without a journal", off.rate, "1/s", source),
        at_most("journal", "throughput that the journal costs", 100 * (1 - on.rate / off.rate), "%", source, 15),
        told("journal", "processor time that the journal costs", 100 * (off.core_rate / on.core_rate - 1), "%", source),
        told("journal", "answer, median", 1000 * statistics.median(answers), "ms", source),
        at_most("journal", "answer, 99th percentile", 1000 * p99_s, "ms", source, 500),
    ]


async def _take(taken: Taken, sample: Sequence[SealedDelta], deltas: int, *sets: str) -> None:
    with Lone.start("x".join(map(str, SHAPE)), *SETS, *sets) as lone:
        async with AsyncExitStack() as stack:
            streams = [await _joined(stack, lone, number) for number in range(SENDERS)]
            await _together(Taken(), streams, sample, 1, 2)
            began, began_cpu = time.perf_counter(), lone.cpu_s
            await _together(taken, streams, sample, 3, deltas)
            taken.seconds += time.perf_counter() - began
            taken.cpu_s += lone.cpu_s - began_cpu


async def _restart(sample: Sequence[SealedDelta], folder: Path) -> float:
    """Fill the journal almost to its next checkpoint, kill the coordinator, and wait for its successor."""
    settings = (*SETS, f'state.dir="{folder}"')
    enough = int(120 * 2**20 / sum(len(delta.payload) for delta in sample))
    await _take(Taken(), sample, enough - 2, *settings)
    began = time.perf_counter()
    with Lone.start("x".join(map(str, SHAPE)), *settings):
        return time.perf_counter() - began


async def _joined(stack: AsyncExitStack, lone: Lone, number: int) -> Stream:
    device = await stack.enter_async_context(ScriptedDevice(lone.address, f"sender-{number}"))
    stream = await stack.enter_async_context(device.dial())
    await stream.join(version=0)
    return stream


async def _together(
    taken: Taken, streams: Sequence[Stream], sample: Sequence[SealedDelta], first: int, deltas: int
) -> None:
    async with asyncio.TaskGroup() as tasks:
        for stream, delta in zip(streams, sample, strict=True):
            tasks.create_task(_send(taken, stream, delta, first, deltas))
    taken.deltas += deltas * len(streams)


async def _send(taken: Taken, stream: Stream, delta: SealedDelta, first: int, deltas: int) -> None:
    room, sent_at = asyncio.Semaphore(UNDER_WAY), dict[int, float]()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_hear(taken, stream, room, sent_at, deltas))
        for seq in range(first, first + deltas):
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


if __name__ == "__main__":
    main(run)
