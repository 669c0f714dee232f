"""The settings of the update rate: who decides how much a device sends, and within what."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

import msgspec

from thinwire.common.errors import SettingsError
from thinwire.common.settings.kinds import Count, Positive, Section, ShareAboveZero, SizeOrNone

# Groups are a label of metrics, so their number is closed.
MAX_GROUPS = 8


class Density(Section, frozen=True, kw_only=True):
    """How much of an update travels, and how precisely. docs/density.md has the policies and worked examples."""

    # Who decides: nobody, the history of the training, groups of devices that learn alike, or both.
    policy: Literal["fixed", "temporal", "spatial", "spatio-temporal"] = "fixed"
    # Share of the parameters in a delta, device to coordinator; the mean of "spatial", and where others begin.
    up: ShareAboveZero = 0.05
    # Share of the parameters in a commit, coordinator to devices; other policies keep its ratio to `up`, and so does
    # link_aware.
    down: ShareAboveZero = 0.1
    # Which they are: the largest, or a mask that all devices draw from one seed, so that no position travels.
    selection: Literal["top", "mask"] = "top"
    # Lowest density that a policy may come to; for all but "fixed", and for link_aware.
    min: ShareAboveZero = 0.01
    # And highest.
    max: ShareAboveZero = 0.3
    # What the history-following policies try first, downward, while the loss keeps pace; [] begins at `up`.
    ladder: tuple[ShareAboveZero, ...] = (0.3, 0.1, 0.05, 0.02)
    # Rounds (deltas of each device) in a window; the loss of one is compared with that of the one before.
    window: Count = 5
    # Relative fall of the loss in a window below which more is sent.
    plateau: Positive = 0.005
    # And above which less is.
    progress: Positive = 0.03
    # Groups at most; for those that group.
    groups: Annotated[int, msgspec.Meta(ge=1, le=MAX_GROUPS)] = 4
    # Lower a device's density, down to `min`, where its uplink cannot carry it while it computes.
    link_aware: bool = False
    # Bytes that a device may send and receive in a day; its density falls for it, if need be below `min`. 0 is none.
    daily_budget: SizeOrNone = 0
    # How values travel up: 4 bits on a logarithmic scale, half or full precision.
    values: Literal["log3", "fp16", "fp32"] = "log3"
    # How values travel down.
    values_down: Literal["log3", "fp16", "fp32"] = "log3"

    def __post_init__(self) -> None:
        problems = tuple(self._problems())
        if problems:
            raise SettingsError(*problems)

    def _problems(self) -> Iterator[str]:
        if self.min > self.max:
            yield f"density.min is {self.min}; it must be at most density.max = {self.max}"
        if self.plateau >= self.progress:
            yield f"density.plateau is {self.plateau}; it must be below density.progress = {self.progress}"
        within = f"within density.min and density.max, {self.min} to {self.max}"
        if self.policy != "fixed" and not self.min <= self.up <= self.max:
            yield f"density.up is {self.up}; for {self.policy} it must be {within}"
        if self.policy in ("temporal", "spatio-temporal"):
            yield from self._problems_of_ladder(within)
        if self.daily_budget and not self.link_aware:
            yield "density.daily_budget is set, but density.link_aware is not; set it to true, or the budget to 0"

    def _problems_of_ladder(self, within: str) -> Iterator[str]:
        if any(not self.min <= rung <= self.max for rung in self.ladder):
            yield f"density.ladder is {list(self.ladder)}; each must be {within}"
        if any(above <= below for above, below in pairwise(self.ladder)):
            yield f"density.ladder is {list(self.ladder)}; each must be lower than the one before it"
