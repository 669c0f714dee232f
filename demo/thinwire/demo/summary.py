"""What a run of the demo comes to: the numbers of that very run, for people and for programs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import median, pstdev

from rich.table import Table

from thinwire.common.units import about
from thinwire.v1 import operator_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One run. Bytes are counted by the kernels of the devices' sockets; dense is float32 for the same exchanges."""

    reached: bool
    reason: str
    accuracy: float
    target_accuracy: float
    centralised_accuracy: float
    commits: int
    deltas: int
    rejected: int
    bytes_up: int
    bytes_down: int
    packed_bytes_up: int
    packed_bytes_down: int
    dense_bytes_up: int
    dense_bytes_down: int
    times_fewer_up: float
    times_fewer_down: float
    overlap_ratio: float
    trainer_busy_ratio: float
    delay_steps: float
    delay_steps_least: int
    delay_steps_p95: int
    mean_staleness: float
    devices: int
    devices_equal: int
    checksum: str
    parameters: int
    density_up: float
    link: str
    agent_rss_bytes: int
    step_seconds: float
    step_spread: float
    training_seconds: float
    wall_seconds: float

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {"schema": "thinwire.demo/v1", **asdict(self)}


def summarise(
    status: operator_pb2.GetStatusResponse,
    devices: list[operator_pb2.Device],
    *,
    centralised_accuracy: float,
    density_up: float,
    link: str,
    wall_seconds: float,
) -> Summary:
    """The summary of a run from the coordinator's last words."""
    accuracy = status.metrics.get("accuracy", 0.0)
    steps = [step_s for device in devices if (step_s := step_time(device, status.elapsed_s)) > 0]
    return Summary(
        reached=status.phase == "finished" and accuracy >= status.target_accuracy,
        reason=status.reason,
        accuracy=accuracy,
        target_accuracy=status.target_accuracy,
        centralised_accuracy=centralised_accuracy,
        commits=status.version,
        deltas=status.accepted,
        rejected=status.rejected,
        bytes_up=status.wire_bytes_up,
        bytes_down=status.wire_bytes_down,
        packed_bytes_up=status.packed_bytes_up,
        packed_bytes_down=status.packed_bytes_down,
        dense_bytes_up=status.dense_bytes_up,
        dense_bytes_down=status.dense_bytes_down,
        times_fewer_up=status.dense_bytes_up / max(1, status.wire_bytes_up),
        times_fewer_down=status.dense_bytes_down / max(1, status.wire_bytes_down),
        overlap_ratio=status.overlap_ratio,
        trainer_busy_ratio=median([device.report.busy_ratio for device in devices] or [0.0]),
        delay_steps=status.delay_median,
        delay_steps_least=status.delay_least,
        delay_steps_p95=status.delay_p95,
        mean_staleness=status.mean_staleness,
        devices=len(devices),
        devices_equal=sum(stands_at(device, status) for device in devices),
        checksum=f"{status.checksum:016x}",
        parameters=status.parameters,
        density_up=density_up,
        link=link,
        agent_rss_bytes=max((device.report.agent_rss_bytes for device in devices), default=0),
        step_seconds=median(steps) if steps else 0.0,
        step_spread=pstdev([math.log(step_s) for step_s in steps]) if steps else 0.0,
        training_seconds=status.elapsed_s,
        wall_seconds=wall_seconds,
    )


def step_time(device: operator_pb2.Device, training_s: float) -> float:
    """How long one local step took on this device, seconds; 0 if it took none."""
    return training_s * device.report.busy_ratio / device.report.steps if device.report.steps else 0.0


def stands_at(device: operator_pb2.Device, status: operator_pb2.GetStatusResponse) -> bool:
    """Whether the device's own checksum, recomputed in full, is that of the coordinator's version."""
    return (device.report.version, device.report.checksum) == (status.version, status.checksum)


def table(summary: Summary) -> Table:
    """The summary for people."""
    s = summary
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", style="bold")
    grid.add_column()
    verdict = "[green]target reached[/]" if s.reached else f"[red]{s.reason}[/]"
    grid.add_row(
        "result", f"{verdict} in {s.training_seconds:.0f} s of training ({s.wall_seconds:.0f} s with start-up)"
    )
    grid.add_row(
        "accuracy",
        f"{s.accuracy:.3f}, target {s.target_accuracy:g}; dense training in one place: {s.centralised_accuracy:g}",
    )
    grid.add_row("devices", f"{s.devices}, each behind a link of {s.link}; {s.commits} commits from {s.deltas} deltas")
    grid.add_row("up", _traffic(s.bytes_up, s.dense_bytes_up, s.times_fewer_up))
    grid.add_row("down", _traffic(s.bytes_down, s.dense_bytes_down, s.times_fewer_down))
    busy = f"trainers computed {s.trainer_busy_ratio:.0%} of their time"
    grid.add_row("hidden", f"{s.overlap_ratio:.0%} of the transfer time behind compute; {busy}")
    late = f"{s.mean_staleness:.1f} versions late on average"
    spread = f"({s.delay_steps_least} to {s.delay_steps_p95})"
    grid.add_row("delay", f"{s.delay_steps:g} {spread} local steps from cut to inclusion, {late}")
    grid.add_row("replicas", f"{s.devices_equal} of {s.devices} devices equal the coordinator, checksum {s.checksum}")
    grid.add_row("memory", f"{about(s.agent_rss_bytes)} for the largest agent, without its trainer")
    return grid


def _traffic(wire: int, dense: int, times: float) -> str:
    return f"{about(wire)} on the sockets, {times:.0f} times fewer than {about(dense)} dense"
