"""What does the codec cost in time, next to the one thing that cannot be avoided: touching the vector once?

The unit is one memory copy of the vector, taken in the same run, right before what it is compared with, on one thread
and by that thread's own CPU time. A ratio of that kind survives another machine and, by and large, a loaded one.

    select        exact top 1 %
    agent step    residual += increment, select, quantise, pack, residual -= sent
    fold          unpack with all checks, aggregate += weight * values

P parameters, K kept.

    python -m thinwire.bench.step [--quick] [--json]
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from numpy.typing import NDArray

from thinwire.bench.real_delta import real_delta
from thinwire.bench.rows import Row, at_most, main, told
from thinwire.common.codec import (
    Limits,
    Packet,
    ValueCode,
    add_and_select,
    kept_of,
    native,
    pack,
    quantise,
    select,
    unpack,
)
from thinwire.server.fold import Fold

SIZE = 11_172_810
QUICK_SIZE = 1_078_634
DENSITY = 0.01
HASH = bytes(8)
REPEATS = 21
WEIGHT = 0.5

Values = NDArray[np.float32]


def run(quick: bool = False) -> list[Row]:
    """Time selection, the agent's step and the coordinator's fold, on noise and on a real delta."""
    noise_P = np.random.default_rng(0).standard_normal(QUICK_SIZE if quick else SIZE, dtype=np.float32)
    return [*_rows(noise_P, "noise"), *_rows(real_delta(quick), "a real delta")]


def _rows(vector_P: Values, kind: str) -> list[Row]:
    source = f"{vector_P.size:,} of {kind}, 1 %, one thread, {native.description}"
    kept = kept_of(DENSITY, vector_P.size)
    selected, copy_s = _in_copies(vector_P, lambda: select(vector_P, kept))
    agent = _Agent(vector_P, kept)
    stepped, _ = _in_copies(vector_P, agent.step)
    folded, _ = _in_copies(vector_P, _Coordinator(agent.step(), vector_P.size, kept).fold)
    return [
        at_most("step", f"select from {kind}", selected, "copies", source, 2.0),
        at_most("step", f"agent step on {kind}", stepped, "copies", source, 5.0),
        at_most("step", f"unpack and fold {kind}", folded, "copies", source, 0.6),
        told("step", f"unpack and fold {kind}, a second", 1 / (folded * copy_s), "deltas", source),
        told("step", f"one copy of {kind}", 1000 * copy_s, "ms", source),
    ]


def _in_copies(vector_P: Values, act: Callable[[], object]) -> tuple[float, float]:
    """Return the median time of `act` in copies of the vector, and the median copy in seconds."""
    copy_P = np.empty_like(vector_P)
    np.copyto(copy_P, vector_P)
    act()
    pairs = [(_seconds(lambda: np.copyto(copy_P, vector_P)), _seconds(act)) for _ in range(REPEATS)]
    return median(acted / copied for copied, acted in pairs), median(copied for copied, _ in pairs)


def _seconds(act: Callable[[], object]) -> float:
    start = time.thread_time()
    act()
    return time.thread_time() - start


class _Agent:
    """An agent that gets the same increment at each step, so that its residual stays what it is in training."""

    def __init__(self, vector_P: Values, kept: int) -> None:
        self.residual_P = vector_P.copy()
        self.increment_P = (vector_P * np.float32(0.01)).astype(np.float32)
        self.kept = kept

    def step(self) -> bytes:
        index_K = add_and_select(self.residual_P, self.increment_P, self.kept)
        value_K = self.residual_P[index_K]
        quantised = quantise(value_K, ValueCode.LOG3)
        value_K -= quantised.value_K
        self.residual_P[index_K] = value_K
        return pack(Packet(HASH, 0, self.residual_P.size, index_K, quantised))


class _Coordinator:
    """A coordinator that folds one blob again and again."""

    def __init__(self, blob: bytes, size: int, kept: int) -> None:
        self.blob = blob
        self.limits = Limits(HASH, size, kept)
        self.aggregate = Fold(size, "all")

    def fold(self) -> None:
        delta = unpack(self.blob, self.limits)
        self.aggregate.add(delta.index_K, delta.value_K, WEIGHT)


if __name__ == "__main__":
    main(run)
