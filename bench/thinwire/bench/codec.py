"""How many bytes does a delta take? Exact figures: none of them depends on the machine.

Two deltas stand for all others. In the hardest, positions are uniformly random and all codes equally frequent, so that
no coder could gain more than the entropy log2 C(P, K) of the positions leaves. The real one was trained
(`real_delta`). P parameters, K kept.

    python -m thinwire.bench.codec [--quick] [--json]
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import zstandard
from numpy.typing import NDArray

from thinwire.bench.real_delta import real_delta
from thinwire.bench.rows import Row, at_least, at_most, main, told
from thinwire.common.codec import Limits, Packet, ValueCode, header, kept_of, native, pack, quantise, select

SIZE = 11_172_810  # ResNet-18
QUICK_SIZE = 1_078_634
DENSITY = 0.01
HASH = bytes(8)
INDEX_TARGETS = {0.1: 1.03, 0.05: 1.03, 0.01: 1.03, 0.005: 1.03, 0.001: 1.06}

Positions = NDArray[np.int64]
Values = NDArray[np.float32]


def run(quick: bool = False) -> list[Row]:
    """Measure sizes: of positions alone, of the hardest delta, of a real one, and of what one might send instead."""
    size = QUICK_SIZE if quick else SIZE
    rng = np.random.default_rng(0)
    rows = [*_index_rows(size, rng), _hardest_row(size, rng), *_real_rows(quick)]
    return [replace(row, reference=f"{row.reference}, {native.description}") for row in rows]


def _index_rows(size: int, rng: np.random.Generator) -> list[Row]:
    return [
        at_most("codec", f"positions at {density:.1%}, of their entropy", _index_ratio(size, density, rng), "times",
                f"random positions in {size:,}", target)
        for density, target in INDEX_TARGETS.items()
    ]  # fmt: skip


def _index_ratio(size: int, density: float, rng: np.random.Generator) -> float:
    kept = kept_of(density, size)
    blob = _packed(_random_positions(size, kept, rng), np.ones(kept, np.float32), size)
    head = header.read(memoryview(blob), Limits(HASH, size, kept))
    entropy = (math.lgamma(size + 1) - math.lgamma(kept + 1) - math.lgamma(size - kept + 1)) / math.log(2)
    return 8 * (head.packed_gaps + head.packed_high) / entropy


def _hardest_row(size: int, rng: np.random.Generator) -> Row:
    kept = kept_of(DENSITY, size)
    # Uniform in the bits of a float32 over six octaves, and of random sign: each of the 16 codes is equally likely.
    bits_K = rng.integers(100 << 23, 106 << 23, kept, dtype=np.int32)
    value_K = bits_K.view(np.float32) * rng.choice(np.array([-1, 1], np.float32), kept)
    blob = _packed(_random_positions(size, kept, rng), value_K, size)
    return at_most("codec", "hardest delta at 1 %, a kept value", 8 * len(blob) / kept, "bits",
                   f"random positions and codes in {size:,}", 12.3)  # fmt: skip


def _real_rows(quick: bool) -> list[Row]:
    vector_P = real_delta(quick)
    index_K = select(vector_P, kept_of(DENSITY, vector_P.size))
    value_K = vector_P[index_K]
    blob = _packed(index_K, value_K, vector_P.size)
    lost_K = quantise(value_K, ValueCode.LOG3).value_K - value_K
    error = float(np.linalg.norm(lost_K) / np.linalg.norm(value_K))
    naive = _zstd(index_K.astype("<i4").tobytes() + value_K.tobytes())
    source = f"{vector_P.size:,} trained on watch data, with residual"
    return [
        at_most("codec", "real delta at 1 %, a kept value", 8 * len(blob) / index_K.size, "bits", source, 9.0),
        told("codec", "real delta at 1 %", len(blob), "bytes", source),
        told("codec", "real delta at 1 %, error of the kept values", error, "relative", source),
        at_least("codec", "int32 and float32 with zstd-3, of ours", naive / len(blob), "times", source, 4.5),
        told("codec", "dense float32 with zstd-3, of ours", _zstd(vector_P.tobytes()) / len(blob), "times", source),
        told("codec", "dense float32, of ours", vector_P.nbytes / len(blob), "times", source),
    ]


def _packed(index_K: Positions, value_K: Values, size: int) -> bytes:
    return pack(Packet(HASH, 0, size, index_K, quantise(value_K, ValueCode.LOG3)))


def _random_positions(size: int, kept: int, rng: np.random.Generator) -> Positions:
    return np.sort(rng.choice(size, kept, replace=False, shuffle=False))


def _zstd(plain: bytes) -> int:
    return len(zstandard.ZstdCompressor(level=3).compress(plain))


if __name__ == "__main__":
    main(run)
