"""`thinwire status`: how far the training is."""

from typing import TYPE_CHECKING

import click

from thinwire.cli.operator import Coordinator, asks
from thinwire.cli.tables import Table
from thinwire.cli.watch import present, views
from thinwire.common.units import about

if TYPE_CHECKING:
    from thinwire.v1.operator_pb2 import GetStatusResponse


@click.command()
@views
@asks
def status(coordinator: Coordinator, json: bool, watch: float | None) -> None:
    """Show how far the training is.

    \b
    Examples:
      thinwire status --coordinator fleet.example.org:443 --ca ca.pem --cert me.pem --key me.key
      thinwire status --watch
      thinwire status --json | jq .metrics.accuracy
    """
    present(coordinator.status, facts, "thinwire.status/v1", json, watch)


def facts(status: "GetStatusResponse") -> Table:
    """The figures that a person asks for first."""
    rows = [
        ("task", f"{status.task}, {status.parameters:,} parameters"),
        ("phase", f"{status.phase}: {status.reason}" if status.reason else status.phase),
        ("version", f"{status.version}, after {lasted(status.elapsed_s)}"),
        ("evaluated", _evaluated(status)),
        ("devices", f"{status.connected} connected of {status.known} known"),
        (
            "deltas",
            f"{status.accepted} accepted, {status.rejected} rejected,"
            f" {status.mean_staleness:.1f} versions behind on average",
        ),
        ("up", _traffic(status.packed_bytes_up, status.dense_bytes_up, status.wire_bytes_up)),
        ("down", _traffic(status.packed_bytes_down, status.dense_bytes_down, status.wire_bytes_down)),
        ("density", _density(status)),
        ("delay", _delay(status)),
        ("overlap", f"trainers computed during {status.overlap_ratio:.0%} of the transfer time"),
    ]
    return Table((), rows)


def lasted(seconds: float) -> str:
    """A duration for the eye: "42s", "3m05s", "2h10m"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def _evaluated(status: "GetStatusResponse") -> str:
    if not status.metrics:
        return "not yet"
    found = ", ".join(f"{name} {value:.4f}" for name, value in sorted(status.metrics.items()))
    target = f" (target accuracy {status.target_accuracy:g})" if status.target_accuracy else ""
    return f"version {status.evaluated_version}: {found}{target}"


def _delay(status: "GetStatusResponse") -> str:
    return (
        f"{status.delay_median} local steps from cut to inclusion (median),"
        f" {status.delay_least} at least, {status.delay_p95} at the slowest device's 95th percentile"
    )


def _density(status: "GetStatusResponse") -> str:
    groups = ", ".join(f"{group.density:.2%} ({group.devices} devices)" for group in status.groups)
    return f"{groups or 'not known'} up, {status.density_down:.2%} down"


def _traffic(packed: int, dense: int, wire: int) -> str:
    times = f", {dense / packed:.0f} times less than dense" if packed and dense > packed else ""
    return f"{about(packed)} packed, {about(wire)} on sockets{times}"
