"""Answers to `thinwire status` and `thinwire devices`."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import grpc.aio

from thinwire.server.conversation import DeviceRecord
from thinwire.server.coordinator import Coordinator
from thinwire.server.roster import Member
from thinwire.v1 import operator_pb2, operator_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class OperatorService(operator_pb2_grpc.OperatorServiceServicer):
    """Read-only answers."""

    def __init__(self, coordinator: Coordinator, target_accuracy: float) -> None:
        self._coordinator = coordinator
        self._target_accuracy = target_accuracy

    async def GetStatus(
        self, request: operator_pb2.GetStatusRequest, context: Context
    ) -> operator_pb2.GetStatusResponse:
        """How far the training is."""
        c = self._coordinator
        up, down = c.figures.wire_bytes()
        # A device that has no acknowledgement yet has no delay, which is not a delay of 0.
        delayed = [record.report for record in list(c.devices.values()) if record.report.delay_p95]
        return operator_pb2.GetStatusResponse(
            lineage=c.welcome.lineage.hex(),
            task=c.welcome.task,
            phase=c.core.phase,
            reason=c.status,
            version=c.commits.version,
            checksum=c.checksum,
            parameters=c.core.model.layout.size,
            elapsed_s=c.figures.elapsed_s,
            connected=len(c.sessions),
            known=len(c.devices),
            accepted=c.figures.totals.accepted,
            rejected=c.figures.totals.rejected,
            evaluated_version=max(0, c.core.state.evaluated_version),
            metrics=c.core.state.metrics,
            target_accuracy=self._target_accuracy,
            packed_bytes_up=c.figures.totals.packed_up,
            packed_bytes_down=c.figures.totals.packed_down,
            wire_bytes_up=up,
            wire_bytes_down=down,
            dense_bytes_up=c.figures.totals.dense_up,
            dense_bytes_down=c.figures.totals.dense_down,
            overlap_ratio=c.figures.overlap_ratio,
            mean_staleness=c.figures.totals.staleness / max(1, c.figures.totals.accepted),
            delay_least=min((late.delay_least for late in delayed), default=0),
            delay_median=int(median([late.delay_median for late in delayed] or [0])),
            delay_p95=max((late.delay_p95 for late in delayed), default=0),
            groups=[operator_pb2.DensityGroup(density=g.density, devices=g.devices) for g in c.figures.groups()],
            density_down=c.figures.density_down,
        )

    async def ListDevices(
        self, request: operator_pb2.ListDevicesRequest, context: Context
    ) -> operator_pb2.ListDevicesResponse:
        """Which devices take part."""
        rows = sorted(self._coordinator.devices.items())
        return operator_pb2.ListDevicesResponse(devices=[self._row(name, record) for name, record in rows])

    def _row(self, name: str, record: DeviceRecord) -> operator_pb2.Device:
        core = self._coordinator.core
        member = core.roster.members.get(name, Member(examples=0))
        return operator_pb2.Device(
            name=name,
            connected=name in self._coordinator.sessions,
            last_seen_s=time.monotonic() - record.seen_at,
            version=record.version,
            accepted=member.accepted,
            rejected=member.rejected,
            weight=core.share(name) if name in core.roster.members else 0.0,
            density=self._coordinator.plans.density(name),
            group=core.state.density.group_of(name) if core.state.density else 0,
            report=_figures(record),
        )


def _figures(record: DeviceRecord) -> operator_pb2.DeviceReport:
    report = record.report
    return operator_pb2.DeviceReport(
        version=report.version,
        checksum=report.checksum,
        wire_sent_bytes=record.wire_sent_bytes,
        wire_received_bytes=record.wire_received_bytes,
        rtt_s=report.rtt_s,
        goodput_up=report.goodput_up,
        overlap_ratio=report.overlap_ratio,
        busy_ratio=report.busy_ratio,
        steps=report.steps,
        residual_norm=report.residual_norm,
        delay_steps=report.delay_steps,
        delay_least=report.delay_least,
        delay_median=report.delay_median,
        delay_p95=report.delay_p95,
        abandoned=report.abandoned,
        forgotten_cuts=report.forgotten_cuts,
        storage_refused=report.storage_refused,
        trainer_restarts=report.trainer_restarts,
        agent_rss_bytes=report.agent_rss_bytes,
        trainer_rss_bytes=report.trainer_rss_bytes,
    )
