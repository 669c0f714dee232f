"""The global model: a log of sparse commits, x[v+1] = x[v] + c[v+1], and what is not yet in it.

The coordinator compresses downward as the devices do upward: a step joins the coordinator's own residual, the largest
coordinates of it become the commit, and the rest waits. `weights_P` is what was published, so every replica of a
version is the same bit for bit, and the checksum in each commit proves it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from thinwire.common import checksum
from thinwire.common.codec import Limits, Packet, ValueCode, add_and_select, kept_of, pack, quantise, unpack
from thinwire.common.codec.mask import drawn
from thinwire.common.layout import Layout
from thinwire.common.snapshot import Snapshot
from thinwire.common.statistics import pack_statistics

Vector = NDArray[np.float32]
Index = NDArray[np.int64]


class DivergedError(ArithmeticError):
    """A step would make the model infinite or undefined; it was not published."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One version: `payload` is the packed update, then `buffer_bytes` of packed statistics; the same for all.

    `through` says for each device whose deltas are newly in this version: (epoch, seq) up to which they are settled.
    """

    version: int
    payload: bytes
    buffer_bytes: int = 0
    kept: int = 0
    folded: int = 0
    through: dict[str, tuple[int, int]] = field(default_factory=dict)
    checksum: int = 0


@dataclass(frozen=True, slots=True)
class Mask:
    """Coordinates that are drawn from a seed, so many of them."""

    seed: int
    kept: int


class GlobalModel:
    """Published weights (P,), statistics (B,), version, checksum, and the coordinator's residual."""

    def __init__(self, layout: Layout, buffers: Layout, weights_P: Vector, buffers_B: Vector) -> None:
        self.layout, self.buffer_layout = layout, buffers
        self.weights_P = np.ascontiguousarray(weights_P, np.float32).copy()
        self.buffers_B = np.ascontiguousarray(buffers_B, np.float32).copy()
        self.residual_P = np.zeros_like(self.weights_P)
        self.version = 0
        self.checksum = checksum.full(self.weights_P)

    def freeze(self) -> Snapshot:
        """A copy of what is published."""
        return Snapshot(self.version, self.weights_P.copy(), self.buffers_B.copy())

    def publish(
        self, step_P: Vector, buffers_B: Vector | None, density: float, code: ValueCode, mask: Mask | None = None
    ) -> Commit:
        """Make the next version from a step (P,), whose memory is used up; raise DivergedError when it cannot be.

        The largest coordinates go, at that density; or those of a mask, if there is one.
        """
        index_K = self._choose(step_P, mask) if mask else self._select(step_P, kept_of(density, self.layout.size))
        quantised = quantise(self.residual_P[index_K], code)
        old_K = self.weights_P[index_K]
        new_K = self._moved(old_K, quantised.value_K, index_K)
        self.weights_P[index_K] = new_K
        self.residual_P[index_K] -= quantised.value_K
        self.checksum = (self.checksum - checksum.of(index_K, old_K) + checksum.of(index_K, new_K)) % 2**64
        packet = Packet(
            self.layout.hash, self.version, self.layout.size, index_K, quantised, self.checksum,
            mask.seed if mask else None,
        )  # fmt: skip
        self.version += 1
        statistics = self._pack_buffers(buffers_B)
        return Commit(
            self.version, pack(packet) + statistics, len(statistics), len(index_K), checksum=self.checksum
        )

    def follow(self, step_P: Vector, buffers_B: Vector | None, commit: Commit) -> None:
        """Make the version that a commit made before from the same step; raise ValueError when it does not follow."""
        size = self.layout.size
        blob = memoryview(commit.payload)[: len(commit.payload) - commit.buffer_bytes]
        delta = unpack(blob, Limits(self.layout.hash, size, size, max_bytes=len(blob)))
        if (delta.base, commit.version) != (self.version, self.version + 1):
            raise ValueError(f"commit {commit.version} is made on {delta.base}, but the model is at {self.version}")
        self.residual_P += step_P
        old_K = self.weights_P[delta.index_K]
        new_K = old_K + delta.value_K
        self.weights_P[delta.index_K] = new_K
        self.residual_P[delta.index_K] -= delta.value_K
        moved = checksum.of(delta.index_K, new_K) - checksum.of(delta.index_K, old_K)
        self.checksum = (self.checksum + moved) % 2**64
        self.version += 1
        if buffers_B is not None and len(buffers_B):
            self.buffers_B = buffers_B
        if self.checksum != delta.checksum:
            raise ValueError(
                f"version {self.version} has checksum {self.checksum:016x}, "
                f"but was published with {delta.checksum or 0:016x}"
            )

    def _select(self, step_P: Vector, kept: int) -> Index:
        try:
            return add_and_select(self.residual_P, step_P, kept)
        except ValueError as error:
            raise DivergedError(f"the step to version {self.version + 1}: {error}") from None

    def _choose(self, step_P: Vector, mask: Mask) -> Index:
        self.residual_P += step_P
        finite_P = np.isfinite(self.residual_P)
        if not finite_P.all():
            where = int(np.argmin(finite_P))
            raise DivergedError(f"the step to version {self.version + 1} is not finite at parameter {where}")
        return drawn(mask.seed, mask.kept, self.layout.size)

    def _moved(self, old_K: Vector, value_K: Vector, index_K: Index) -> Vector:
        with np.errstate(over="ignore"):
            new_K = old_K + value_K
        finite = np.isfinite(new_K)
        if not finite.all():
            where = int(index_K[np.argmin(finite)])
            raise DivergedError(f"the step to version {self.version + 1} is not finite at parameter {where}")
        return new_K

    def _pack_buffers(self, buffers_B: Vector | None) -> bytes:
        if buffers_B is None or not len(buffers_B):
            return b""
        self.buffers_B = buffers_B
        return pack_statistics(buffers_B, self.buffer_layout, self.version)
