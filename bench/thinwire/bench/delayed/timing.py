"""When a run was at its target, and when a synchronous one would have been on a link on which only its beginning ran.

Synchronous dense methods learn the same on every link, only later. A round there takes as long as the mean round of the
probe, and what its own bytes take longer: packed gradients get smaller in the course of a training, and links send both
ways at one rate, so a device's bytes of a round, up and down, over that rate are its time on the link.
"""

from __future__ import annotations

from thinwire.common.errors import ThinwireError
from thinwire.common.history import History, Row

PATIENCE = 2
ROUNDING = 0.005  # in accuracy, of sums that were added in another order
# Reports and echoes come by time, so there are more of them on a slow link.
SAME_BYTES, TALK_BYTES = 0.01, 100


class DelayedError(ThinwireError):
    """Two runs that should agree do not."""


def reached(history: History, target: float) -> Row | None:
    """The first of the measurements in a row, as many as the coordinator's patience, at or above the target."""
    above = 0
    for place, row in enumerate(history.measured):
        above = above + 1 if (row.accuracy or 0.0) >= target else 0
        if above == PATIENCE:
            return history.measured[place - PATIENCE + 1]
    return None


def retimed(history: History, probe: History, rate_bps: float) -> dict[int, float]:
    """When each version of a synchronous run was there, on the link of the probe, which sends `rate_bps` each way."""
    for row, probed in zip(history.rows, probe.rows, strict=False):
        if not _same(row, probed):
            raise DelayedError(
                f"{history.header.method}, seed {history.header.seed}: version {row.version} differs between a run"
                f" without a link and one on {probe.header.link}; such a method cannot be timed by its first rounds"
            )
    first, last = probe.rows[0], probe.rows[-1]
    rounds = last.version - first.version
    round_s, round_bytes = (last.time_s - first.time_s) / rounds, _between(first, last) / rounds
    byte_s = 8 / rate_bps / max(1, history.header.devices)
    when = {row.version: row.time_s for row in probe.rows}
    for earlier, row in zip(history.rows, history.rows[1:], strict=False):
        own_s = round_s + (_between(earlier, row) - round_bytes) * byte_s
        when.setdefault(row.version, when[earlier.version] + own_s)
    return when


def _between(earlier: Row, later: Row) -> int:
    return later.bytes_up + later.bytes_down - earlier.bytes_up - earlier.bytes_down


def _same(row: Row, probed: Row) -> bool:
    """Whether the same deltas made both; they came in another order, so that the last bits of their sums differ."""
    measured = row.accuracy is not None and probed.accuracy is not None
    alike = not measured or abs((row.accuracy or 0.0) - (probed.accuracy or 0.0)) <= ROUNDING
    near = abs(row.bytes_up - probed.bytes_up) <= SAME_BYTES * row.bytes_up + TALK_BYTES * row.deltas * row.version
    return (row.version, row.deltas, row.staleness) == (probed.version, probed.deltas, probed.staleness) and (
        alike and near
    )
