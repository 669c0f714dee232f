"""What does it cost that nothing is lost, and nothing believed: deltas a second with and without journal and checks.

    rate      eight senders keep deltas under way; coordinators with and without a journal, and such as believe whatever
              they are sent, take turns, so that a noisy machine is noisy for all
    answer    how long a device waits from its last byte to the outcome, which is on disk by then
    restart   SIGKILL with as much journal as there ever is between two checkpoints, until the next process serves

The coordinator is a process of its own, for 11.17 million parameters at 1 %; its own processor time tells what one core
could take if the senders were elsewhere. What the checks are is in trusting.py.

    python -m thinwire.bench.journal [--quick] [--json]
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from thinwire.bench.load import SENDERS, SETS, Taken, sample_of, send
from thinwire.bench.lone import Lone
from thinwire.bench.rows import Row, at_least, at_most, main, told
from thinwire.client.outbox import SealedDelta
from thinwire.common.layout import Layout, TensorSpec

SHAPE = (3342, 3343)
UNDER_WAY = 2
CHECKING, TRUSTING = "thinwire.bench.lone", "thinwire.bench.trusting"


def run(quick: bool = False) -> list[Row]:
    """Measure all of it."""
    return uvloop.run(_run(rounds=1 if quick else 3, deltas=8 if quick else 48))


async def _run(rounds: int, deltas: int) -> list[Row]:
    sample = sample_of(Layout((TensorSpec("weight", SHAPE),)))
    neither, checks, journal, both = (Taken() for _ in range(4))
    with tempfile.TemporaryDirectory(prefix="thinwire-") as folder:
        for number in range(rounds):
            kept = f'state.dir="{folder}/{number}'
            await _take(neither, sample, deltas, module=TRUSTING)
            await _take(checks, sample, deltas)
            await _take(journal, sample, deltas, f'{kept}-trusting"', module=TRUSTING)
            await _take(both, sample, deltas, f'{kept}"')
        restart_s = await _restart(sample, Path(folder) / "restart")
    each = f"{UNDER_WAY} deltas of {len(sample[0].payload):,} B under way each"
    source = f"{SENDERS} senders, {each}, {both.deltas} deltas"
    return [
        *_rate_rows(both, source),
        *_cost_rows(neither, checks, journal, both, source),
        at_most("journal", "from SIGKILL to serving", restart_s, "s", "a full journal between two checkpoints", 5.0),
    ]


def _rate_rows(both: Taken, source: str) -> list[Row]:
    answers = sorted(both.answers_s)
    p99_s = answers[int(0.99 * (len(answers) - 1))]
    return [
        at_least("journal", "accepted deltas a second of one core", both.core_rate, "1/s", source, 60),
        told("journal", "accepted deltas a second, senders on the same machine", both.rate, "1/s", source),
        told("journal", "answer, median", 1000 * statistics.median(answers), "ms", source),
        at_most("journal", "answer, 99th percentile", 1000 * p99_s, "ms", source, 500),
    ]


def _cost_rows(neither: Taken, checks: Taken, journal: Taken, both: Taken, source: str) -> list[Row]:
    return [
        told("journal", "a second, without a journal", checks.rate, "1/s", source),
        told("journal", "a second, without checks", journal.rate, "1/s", source),
        told("journal", "a second, without either", neither.rate, "1/s", source),
        at_most("journal", "throughput that the journal costs", _lost(checks, both), "%", source, 15),
        told("journal", "throughput that the checks cost", _lost(journal, both), "%", source),
        at_most("journal", "throughput that both cost", _lost(neither, both), "%", source, 15),
        told("journal", "processor time that the journal costs", _spent(checks, both), "%", source),
        told("journal", "processor time that the checks cost", _spent(journal, both), "%", source),
        told("journal", "processor time that both cost", _spent(neither, both), "%", source),
    ]


def _lost(without: Taken, with_it: Taken) -> float:
    return 100 * (1 - with_it.rate / without.rate)


def _spent(without: Taken, with_it: Taken) -> float:
    return 100 * (without.core_rate / with_it.core_rate - 1)


async def _take(
    taken: Taken, sample: Sequence[SealedDelta], deltas: int, *sets: str, module: str = CHECKING
) -> None:
    with Lone.start("x".join(map(str, SHAPE)), *SETS, *sets, module=module) as lone:
        await send(taken, lone, sample, deltas, under_way=UNDER_WAY, warm=2)


async def _restart(sample: Sequence[SealedDelta], folder: Path) -> float:
    """Fill the journal almost to its next checkpoint, kill the coordinator, and wait for its successor."""
    settings = (*SETS, f'state.dir="{folder}"')
    enough = int(120 * 2**20 / sum(len(delta.payload) for delta in sample))
    await _take(Taken(), sample, enough - 2, *settings)
    began = time.perf_counter()
    with Lone.start("x".join(map(str, SHAPE)), *settings):
        return time.perf_counter() - began


if __name__ == "__main__":
    main(run)
