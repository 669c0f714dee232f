"""The history of a run that is watched from outside, in the same lines as a simulation's, written while it happens.

The coordinator is asked twice a second, so versions between two looks have no row of their own, and an accuracy stands
in the row of the look that brought it: up to a few versions later than the model that was measured. Bytes are what the
devices last reported of their sockets, and the packed bytes that the coordinator has counted since.
"""

from __future__ import annotations

from pathlib import Path

from thinwire.common.history import End, Header, Row, line_of, versions
from thinwire.v1 import operator_pb2

FILE = "history.jsonl"


class _Meter:
    """One direction: devices tell of their sockets every few seconds, the coordinator knows payloads at once."""

    def __init__(self) -> None:
        self._wire = self._packed = self._told = 0

    def read(self, wire: int, packed: int) -> int:
        """Bytes until now, never fewer than before."""
        if wire > self._wire:
            self._wire, self._packed = wire, packed
        self._told = max(self._told, self._wire + packed - self._packed)
        return self._told


class Chronicle:
    """A line for each look at which something was new; the header comes with the first, `end` makes it whole."""

    def __init__(self, folder: Path, *, method: str, seed: int, devices: int, link: str, settings: str) -> None:
        self._path = folder / FILE
        self._path.write_bytes(b"")
        self._about = {"method": method, "seed": seed, "devices": devices, "link": link, "settings": settings}
        self._headed = False
        self._up, self._down = _Meter(), _Meter()
        self._version = self._evaluated = -1
        self._accepted = self._rejected = 0
        self._staleness = 0.0
        self._last_s = 0.0

    def note(self, status: operator_pb2.GetStatusResponse) -> None:
        """Take down a status, if it tells of a version or a measurement that the one before did not."""
        fresh = status.evaluated_version > self._evaluated and bool(status.metrics)
        if status.phase == "starting" or not status.version or (status.version == self._version and not fresh):
            return
        if not self._headed:
            self._head(status)
        self._write(self._row(status, fresh=fresh))
        self._version, self._last_s = status.version, status.elapsed_s
        if fresh:
            self._evaluated = status.evaluated_version

    def end(self, reason: str, devices_equal: int) -> None:
        """The run is over; a run without a version has no history."""
        if self._headed:
            self._write(End(reason=reason, time_s=self._last_s, wall_s=self._last_s, devices_equal=devices_equal))

    def _head(self, status: operator_pb2.GetStatusResponse) -> None:
        self._headed = True
        self._write(
            Header(
                source="real", scenario="demo", task=status.task, parameters=status.parameters,
                target_accuracy=status.target_accuracy, versions=versions(), **self._about,  # type: ignore[arg-type]
            )
        )  # fmt: skip

    def _row(self, status: operator_pb2.GetStatusResponse, *, fresh: bool) -> Row:
        staleness = status.mean_staleness * status.accepted
        deltas, rejected = status.accepted - self._accepted, status.rejected - self._rejected
        late = max(0.0, staleness - self._staleness) / max(1, deltas)
        self._accepted, self._rejected, self._staleness = status.accepted, status.rejected, staleness
        return Row(
            time_s=status.elapsed_s,
            version=status.version,
            bytes_up=self._up.read(status.wire_bytes_up, status.packed_bytes_up),
            bytes_down=self._down.read(status.wire_bytes_down, status.packed_bytes_down),
            deltas=deltas,
            rejected=rejected,
            staleness=late,
            delay_steps=status.delay_median,
            density={_group(number): group.density for number, group in enumerate(status.groups)},
            density_down=status.density_down,
            overlap=status.overlap_ratio,
            checksum=f"{status.checksum:016x}",
            metrics=dict(status.metrics) if fresh else {},
        )

    def _write(self, line: Header | Row | End) -> None:
        with self._path.open("ab") as file:
            file.write(line_of(line))


def _group(number: int) -> str:
    return f"group {number}"
