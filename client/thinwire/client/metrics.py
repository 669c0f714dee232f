"""What Prometheus sees of one device, on its own loopback; the coordinator gets the same figures in the stream."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from thinwire.common import __version__
from thinwire.common.values import Report

GAUGES = {
    "version": ("thinwire_agent_model_version", "Version of the trainer's base."),
    "wire_sent_bytes": ("thinwire_agent_wire_sent_bytes", "Bytes sent on sockets to the coordinator."),
    "wire_received_bytes": (
        "thinwire_agent_wire_received_bytes",
        "Bytes received on sockets from the coordinator.",
    ),
    "rtt_s": ("thinwire_agent_rtt_seconds", "Round trip to the coordinator."),
    "goodput_up": ("thinwire_agent_goodput_bytes_per_second", "Payload rate at which deltas get through."),
    "transfer_s": ("thinwire_agent_transfer_seconds", "Time in which a delta or commit was under way."),
    "hidden_s": ("thinwire_agent_transfer_hidden_seconds", "Of it, time in which the trainer computed."),
    "compute_s": ("thinwire_agent_compute_seconds", "Time in which the trainer computed."),
    "wait_s": ("thinwire_agent_wait_seconds", "Time in which the trainer waited for the network."),
    "steps": ("thinwire_agent_local_steps", "Local steps done."),
    "cuts": ("thinwire_agent_deltas_cut", "Deltas cut."),
    "residual_norm": ("thinwire_agent_residual_norm", "Euclidean norm of the residual at the last look."),
    "delay_steps": ("thinwire_agent_delay_steps", "Local steps from the cut of the last included delta."),
    "delay_median": ("thinwire_agent_delay_median_steps", "Median of the last delays."),
    "delay_p95": ("thinwire_agent_delay_p95_steps", "95th percentile of the last delays."),
    "abandoned": ("thinwire_agent_deltas_abandoned", "Sealed deltas given up with their training or their store."),
    "forgotten_cuts": ("thinwire_agent_cuts_forgotten", "Cuts whose unsent rest was lost with a trainer or the power."),
    "storage_refused": ("thinwire_agent_storage_refused", "1 while deltas wait in memory as the disk refuses them."),
    "trainer_restarts": ("thinwire_agent_trainer_restarts", "Restarts of the trainer process."),
    "agent_rss_bytes": ("thinwire_agent_resident_bytes", "Resident memory of the agent."),
    "trainer_rss_bytes": ("thinwire_agent_trainer_resident_bytes", "Resident memory of the trainer."),
}


class AgentMetrics:
    """The agent's metrics, in a registry of their own; figures are read when somebody scrapes."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.report = Report()
        build = Gauge("thinwire_build_info", "The running software.", ["version"], registry=self.registry)
        build.labels(__version__).set(1)
        self.connected = Gauge(
            "thinwire_agent_connected",
            "1 while the coordinator has welcomed the stream.",
            registry=self.registry,
        )
        self.pending = Gauge(
            "thinwire_agent_deltas_pending",
            "Sealed deltas that are not in the base yet.",
            registry=self.registry,
        )
        self._written = Counter(
            "thinwire_agent_disk_written_bytes",
            "Bytes written to the device's disk: sealed deltas and their outcomes, residuals, snapshots.",
            ["kind"],
            registry=self.registry,
        )
        self._written_before: dict[str, int] = {}
        for field, (name, help) in GAUGES.items():
            gauge = Gauge(name, help, registry=self.registry)
            gauge.set_function(lambda field=field: getattr(self.report, field))  # type: ignore[misc]  # a default binds

    def wrote(self, kind: str, total_bytes: int) -> None:
        """So many bytes of a kind have been written since the start."""
        self._written.labels(kind).inc(total_bytes - self._written_before.get(kind, 0))
        self._written_before[kind] = total_bytes
