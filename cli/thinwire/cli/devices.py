"""`thinwire devices`: which devices take part, and how they do."""

from typing import TYPE_CHECKING

import click

from thinwire.cli.operator import Coordinator, asks
from thinwire.cli.status import lasted
from thinwire.cli.tables import Table
from thinwire.cli.watch import present, views
from thinwire.common.units import about

if TYPE_CHECKING:
    from thinwire.v1.operator_pb2 import Device, ListDevicesResponse

_COLUMNS = (
    "device", "link", "last seen", "version", "deltas", "rejected", "weight",
    "density", "sent", "received", "rtt", "goodput up", "delay", "busy", "overlap", "memory",
)  # fmt: skip


@click.command()
@views
@asks
def devices(coordinator: Coordinator, json: bool, watch: float | None) -> None:
    """Show which devices take part, and how they do.

    Memory is that of the agent and of its trainer; busy is the share of the time in which the trainer computed,
    overlap the share of the transfer time in which it did. Delay is in local steps, from a delta's cut to its
    inclusion: median/95th percentile. Density is the share of the parameters in a device's next delta, with the number
    of its group. A link that is "disk!" is up, but the device's disk is full or refuses to be written to: it trains on,
    and sends nothing until there is room.

    \b
    Examples:
      thinwire devices
      thinwire devices --json | jq '.devices[] | select(.connected | not) | .name'
    """
    present(coordinator.devices, fleet, "thinwire.devices/v1", json, watch)


def fleet(answer: "ListDevicesResponse") -> Table:
    """A row for each device."""
    return Table(_COLUMNS, [_row(device) for device in answer.devices])


def _row(device: "Device") -> tuple[str, ...]:
    report = device.report
    return (
        device.name,
        ("disk!" if report.storage_refused else "up") if device.connected else "down",
        f"{lasted(device.last_seen_s)} ago",
        str(device.version),
        str(device.accepted),
        str(device.rejected),
        f"{device.weight:.3f}",
        f"{device.density:.2%} ({device.group})",
        about(report.wire_sent_bytes),
        about(report.wire_received_bytes),
        f"{report.rtt_s * 1e3:.0f} ms",
        f"{report.goodput_up * 8 / 1e6:.2f} Mbit/s",
        f"{report.delay_median}/{report.delay_p95}",
        f"{report.busy_ratio:.0%}",
        f"{report.overlap_ratio:.0%}",
        f"{about(report.agent_rss_bytes)} + {about(report.trainer_rss_bytes)}",
    )
