"""What a density policy sees, and what it decides.

It sees admitted deltas and commits, in the order in which the coordinator takes them, and nothing else: so its state is
a pure function of what a journal holds, and `dump` and `load` carry it over a restart. Rates change at commits only.

What rides on links is not of this kind: see `thinwire.server.density.link`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Index = NDArray[np.int64]
Fields = dict[str, Any]  # as JSON has them
Arrays = dict[str, Vector]


@dataclass(frozen=True, slots=True)
class DeltaSeen:
    """An admitted delta of K coordinates; `share` is its device's p_i, `density` the K of all parameters.

    `loss` is the mean over its local steps. `energy` is the squared norm of all that could have been sent, residual
    and increments, of which the delta is the largest part. None is for what the device did not tell.
    """

    device: str
    share: float
    index_K: Index
    value_K: Vector
    loss: float | None = None
    energy: float | None = None
    density: float = 1.0


@dataclass(frozen=True, slots=True)
class Group:
    """Devices that share a density."""

    density: float
    devices: int


class DensityPolicy(Protocol):
    """Decides the share of the parameters that each device sends, and that a commit carries."""

    @property
    def down(self) -> float:
        """Density of the next commit."""

    def see_delta(self, seen: DeltaSeen) -> None:
        """Take note of a delta that goes into the next commit."""

    def see_commit(self) -> None:
        """A version was published: rates may change now."""

    def density_of(self, device: str) -> float:
        """The share of the parameters in this device's next delta."""

    def group_of(self, device: str) -> int:
        """The index of its group, in `groups`."""

    @property
    def groups(self) -> list[Group]:
        """Every group; never empty."""

    @property
    def held_back(self) -> dict[str, float]:
        """What the newest deltas carried, of the devices that send less than their rate because of their links."""

    def dump(self) -> tuple[Fields, Arrays]:
        """The whole state, as JSON and rows of float32."""

    def load(self, fields: Mapping[str, Any], arrays: Mapping[str, Vector]) -> None:
        """Go on from what `dump` gave; raise ValueError when it is no such thing."""
