"""What a delta that was made on an older version needs before it is folded: by default nothing.

    taylor   c * (1 - lambda / (eta K) * c * (W_now - W_base))    DC-ASGD (Zheng et al., ICML 2017), the server's form
    model    c - (W_now - W_base)                                 FedAsync (Xie et al., 2019): the device's model is
                                                                  mixed in, so what it had not seen counts against it

c holds K gradients times eta; from the sum of their squares being at least the square of their sum over K, the Taylor
term under-corrects. Its factor is kept within 0 and 2: beyond, a first-order term says nothing, and it would grow with
the model's own steps until the training diverged. Both need what commits changed since the delta's base, and so
remember the last of them.
Shapes: P parameters, K coordinates of a delta or commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import Limits, unpack
from thinwire.common.layout import Layout
from thinwire.server.model import Commit

Vector = NDArray[np.float32]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Moved:
    index_K: Index
    value_K: Vector


class Lateness:
    """What commits changed, by version, and what that means for deltas on older ones.

    The choice may have "bounded_taylor", lambda / (eta K); "mixing", "delta" or "model"; and "versions": so many
    commits are remembered, and a delta on an older base counts from the oldest of them. With neither term nothing is
    remembered. "taylor" is the term without its bounds, for the same sums as in journals that were begun with it.
    """

    def __init__(self, layout: Layout, choice: Mapping[str, float | str]) -> None:
        self._layout = layout
        self._bounded = "bounded_taylor" in choice
        self._taylor = np.float32(choice.get("bounded_taylor", choice.get("taylor", 0.0)))
        self._whole_models = choice.get("mixing") == "model"
        self._commits: deque[_Moved] = deque(maxlen=max(1, int(choice.get("versions", 1))))
        self._version = 0

    @property
    def matters(self) -> bool:
        """Whether deltas are changed at all."""
        return self._whole_models or bool(self._taylor > 0)

    def published(self, commit: Commit) -> None:
        """Remember what a commit changes."""
        if not self.matters:
            return
        layout, self._version = self._layout, commit.version
        payload = memoryview(commit.payload)[: len(commit.payload) - commit.buffer_bytes]
        found = unpack(payload, Limits(layout.hash, layout.size, layout.size, max_bytes=len(payload)))
        self._commits.append(_Moved(found.index_K, found.value_K))

    def adjusted(self, base: int, index_K: Index, value_K: Vector) -> tuple[Index, Vector]:
        """A delta made on version `base`, as it is to be folded."""
        if not self.matters or base >= self._version:
            return index_K, value_K
        moved_P = self._since(base)
        if self._whole_models:
            whole_P = -moved_P
            whole_P[index_K] += value_K
            return np.arange(whole_P.size), whole_P
        if not self._bounded:
            return index_K, value_K - self._taylor * value_K * value_K * moved_P[index_K]
        factor_K = np.clip(np.float32(1.0) - self._taylor * value_K * moved_P[index_K], 0.0, 2.0)
        return index_K, value_K * factor_K

    def dump(self) -> dict[str, Vector]:
        """All that it remembers, by name; positions as the bits of float32, which holds them exactly that way."""
        if not self.matters:
            return {}
        memory = {"version": np.array([self._version], np.uint32).view(np.float32)}
        for place, moved in enumerate(self._commits):
            memory[f"{place}.index"] = moved.index_K.astype(np.uint32).view(np.float32)
            memory[f"{place}.value"] = moved.value_K
        return memory

    def load(self, memory: Mapping[str, Vector]) -> None:
        """Go on from what was dumped, by whomever; without anything, from here on."""
        if not self.matters or "version" not in memory:
            return
        self._version = int(memory["version"].view(np.uint32)[0])
        self._commits.clear()
        place = 0
        # Fewer may be remembered from here on than were before: the newest of them.
        while f"{place}.index" in memory:
            index_K = memory[f"{place}.index"].view(np.uint32).astype(np.int64)
            self._commits.append(_Moved(index_K, memory[f"{place}.value"]))
            place += 1

    def _since(self, base: int) -> Vector:
        moved_P = np.zeros(self._layout.size, np.float32)
        for moved in list(self._commits)[-(self._version - base) :]:
            moved_P[moved.index_K] += moved.value_K
        return moved_P
