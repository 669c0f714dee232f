"""What operators are told of a coordinator: counters since its start, and sums over what devices report."""

from __future__ import annotations

import time

from thinwire.common.values import Verdict
from thinwire.server.conversation import DeviceRecord
from thinwire.server.core import CoordinatorCore
from thinwire.server.density.policy import Group
from thinwire.server.effects import Settled
from thinwire.server.metrics import CoordinatorMetrics
from thinwire.server.model import Commit
from thinwire.server.plans import Plans


class Totals:
    """Counters of one process, for status answers."""

    def __init__(self) -> None:
        self.accepted = self.rejected = self.staleness = 0
        self.packed_up = self.packed_down = self.dense_up = self.dense_down = 0


class Figures:
    """The figures of one training, for `thinwire status` and for Prometheus."""

    def __init__(self, core: CoordinatorCore, plans: Plans, metrics: CoordinatorMetrics) -> None:
        self._core, self._plans, self._metrics = core, plans, metrics
        self.dense_bytes = 4 * (core.model.layout.size + core.model.buffer_layout.size)
        self.devices = {name: DeviceRecord() for name in core.roster.members}
        self.totals = Totals()
        self._began_at: float | None = None
        self._ended_at: float | None = None
        self._version = core.model.version
        self._groups: tuple[int, list[Group]] = (-1, [])
        metrics.known.set_function(lambda: len(self.devices))
        metrics.groups(self.groups)
        metrics.overlap.set_function(lambda: self.overlap_ratio)
        metrics.wire.labels("up").set_function(lambda: self.wire_bytes()[0])
        metrics.wire.labels("down").set_function(lambda: self.wire_bytes()[1])

    def begin(self) -> None:
        """The training begins, or goes on."""
        self._began_at = time.monotonic()

    def end(self) -> None:
        """The training is over."""
        self._ended_at = time.monotonic()
        self._metrics.finished.set(1)

    def settle(self, effect: Settled) -> None:
        """Count what became of a delta."""
        self._metrics.settle(effect.outcome, repeated=effect.repeated)
        if effect.repeated:
            return
        if effect.outcome.verdict is not Verdict.ACCEPTED:
            self.totals.rejected += 1
            return
        self._metrics.staleness.observe(effect.staleness)
        self._metrics.carry("up", raw_bytes=self.dense_bytes, packed_bytes=effect.packed_bytes)
        self.totals.accepted += 1
        self.totals.staleness += effect.staleness
        self.totals.packed_up += effect.packed_bytes
        self.totals.dense_up += self.dense_bytes

    def publish(self, commit: Commit) -> None:
        """Count a version."""
        self._version = commit.version
        self._metrics.version.set(commit.version)
        self._metrics.folded.observe(commit.folded)
        self._metrics.delta_density.observe(commit.kept / self._core.model.layout.size)

    def count_down(self, packed_bytes: int) -> None:
        """A commit or snapshot was sent whole to one device."""
        self.totals.packed_down += packed_bytes
        self.totals.dense_down += self.dense_bytes
        self._metrics.carry("down", raw_bytes=self.dense_bytes, packed_bytes=packed_bytes)

    def groups(self) -> list[Group]:
        """Devices that share a density, as of the newest version."""
        policy = self._core.state.density
        if policy is None:
            return [Group(self._plans.plan.density, len(self._core.roster.members))]
        # Metrics ask for each group in turn.
        version, groups = self._groups
        if version != self._version:
            self._groups = self._version, (groups := policy.groups)
        return groups

    @property
    def density_down(self) -> float:
        """Density of the next commit."""
        policy = self._core.state.density
        return policy.down if policy else self._core.rules.density_down

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far; they end with it."""
        if self._began_at is None:
            return 0.0
        return (self._ended_at or time.monotonic()) - self._began_at

    @property
    def overlap_ratio(self) -> float:
        """Share of the transfer time, over all devices, in which their trainers computed."""
        reports = [record.report for record in list(self.devices.values())]
        transfer_s = sum(report.transfer_s for report in reports)
        return sum(report.hidden_s for report in reports) / transfer_s if transfer_s else 0.0

    def wire_bytes(self) -> tuple[int, int]:
        """Bytes up and down on all devices' sockets, as they report them."""
        records = list(self.devices.values())
        return sum(r.wire_sent_bytes for r in records), sum(r.wire_received_bytes for r in records)
