"""What Prometheus sees of the coordinator. Labels come from closed sets only; devices are in `thinwire devices`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from thinwire.common import __version__
from thinwire.common.settings.density import MAX_GROUPS
from thinwire.common.values import Outcome, RejectReason, Report, Verdict
from thinwire.server.density.policy import Group

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
RTT_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 1, 2, 5, 10, 30)
RATES = (1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 4e6, 16e6, 64e6, 256e6)
STALENESS = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144)
STEPS = (0, 5, 10, 20, 30, 50, 75, 100, 150, 250, 500, 1000)
NORMS = (1e-3, 1e-2, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)


class CoordinatorMetrics:
    """The coordinator's metrics, in a registry of their own."""

    def __init__(self) -> None:
        r = self.registry = CollectorRegistry()
        Gauge("thinwire_build_info", "The running software.", ["version"], registry=r).labels(
            __version__
        ).set(1)
        self.connected = Gauge("thinwire_devices_connected", "Devices with an open stream.", registry=r)
        self.known = Gauge("thinwire_devices_known", "Devices that ever took part.", registry=r)
        self.version = Gauge("thinwire_model_version", "Version of the model.", registry=r)
        self.quality = Gauge(
            "thinwire_model_accuracy_ratio", "Accuracy of the model as last evaluated.", registry=r
        )
        self.finished = Gauge("thinwire_training_finished", "1 when the training is over.", registry=r)
        self.deltas = Counter("thinwire_deltas", "Deltas, by what became of them.", ["outcome"], registry=r)
        self.rejected = Counter(
            "thinwire_deltas_rejected", "Rejected deltas, by reason.", ["reason"], registry=r
        )
        self.refused = Counter(
            "thinwire_streams_refused", "Refused streams, by reason.", ["reason"], registry=r
        )
        self.payload = Counter(
            "thinwire_payload_bytes",
            "Deltas up, commits and snapshots down: raw as dense float32, packed as sent.",
            ["direction", "kind"],
            registry=r,
        )
        self.wire = Gauge(
            "thinwire_devices_wire_bytes",
            "Bytes on the devices' sockets, as their kernels count them, over all devices.",
            ["direction"],
            registry=r,
        )
        self.overlap = Gauge(
            "thinwire_overlap_ratio", "Share of transfer time in which the trainers computed.", registry=r
        )
        self.admit = self._histogram(
            "thinwire_delta_admit_seconds", "Time to check and fold a delta.", SECONDS
        )
        self.commit = self._histogram("thinwire_commit_seconds", "Time to make and pack a commit.", SECONDS)
        self.sync = self._histogram(
            "thinwire_journal_sync_seconds", "Time to make what was written survive a power cut.", SECONDS
        )
        self.checkpoint = self._histogram(
            "thinwire_checkpoint_seconds", "Time to write a checkpoint and read it again.", SECONDS
        )
        self.journal = Gauge("thinwire_journal_entries", "Number of the journal's last entry.", registry=r)
        self.free = Gauge("thinwire_state_free_bytes", "Room on the disk that holds the journal.", registry=r)
        self.evaluate = self._histogram("thinwire_evaluation_seconds", "Time to evaluate the model.", SECONDS)
        self.staleness = self._histogram(
            "thinwire_delta_staleness_versions", "Versions a delta was late.", STALENESS
        )
        self.delta_density = self._histogram(
            "thinwire_commit_density_ratio", "Share of parameters sent.", SHARES
        )
        self.group_density = Gauge(
            "thinwire_group_density_ratio",
            "Share of parameters in the deltas of a group of devices; 0 for no group.",
            ["group"],
            registry=r,
        )
        self.group_devices = Gauge("thinwire_group_devices", "Devices in a group.", ["group"], registry=r)
        self.folded = self._histogram(
            "thinwire_commit_deltas", "Deltas in a commit.", (1, 2, 3, 5, 10, 20, 50, 100)
        )
        self.rtt = self._histogram(
            "thinwire_device_rtt_seconds", "Round trips, as devices report.", RTT_SECONDS
        )
        self.goodput = self._histogram(
            "thinwire_device_goodput_bytes_per_second", "Payload rates upward, as devices report.", RATES
        )
        self.delay = self._histogram(
            "thinwire_device_delay_steps", "Local steps from cut to inclusion.", STEPS
        )
        self.residual = self._histogram(
            "thinwire_device_residual_norm", "Norms of the devices' residuals.", NORMS
        )

    def _histogram(self, name: str, help: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, help, buckets=buckets, registry=self.registry)

    def groups(self, groups: Callable[[], list[Group]]) -> None:
        """Ask this for the groups whenever somebody looks; there are at most MAX_GROUPS."""
        for number in range(MAX_GROUPS):
            self.group_density.labels(number).set_function(partial(_density, groups, number))
            self.group_devices.labels(number).set_function(partial(_devices, groups, number))

    def settle(self, outcome: Outcome, *, repeated: bool) -> None:
        """Count what became of a delta."""
        accepted = outcome.verdict is Verdict.ACCEPTED
        self.deltas.labels("repeated" if repeated else "accepted" if accepted else "rejected").inc()
        if not accepted and not repeated:
            self.rejected.labels(RejectReason(outcome.reason).name.lower()).inc()

    def carry(self, direction: str, *, raw_bytes: int, packed_bytes: int) -> None:
        """Count payload that travelled `up` or `down`."""
        self.payload.labels(direction, "raw").inc(raw_bytes)
        self.payload.labels(direction, "packed").inc(packed_bytes)

    def observe(self, report: Report) -> None:
        """Take over a device's figures."""
        if report.rtt_s > 0:
            self.rtt.observe(report.rtt_s)
        if report.goodput_up > 0:
            self.goodput.observe(report.goodput_up)
        if report.delay_steps:
            self.delay.observe(report.delay_steps)
        if report.cuts:
            self.residual.observe(report.residual_norm)


def _density(groups: Callable[[], list[Group]], number: int) -> float:
    return dict(enumerate(group.density for group in groups())).get(number, 0.0)


def _devices(groups: Callable[[], list[Group]], number: int) -> float:
    return dict(enumerate(group.devices for group in groups())).get(number, 0)
