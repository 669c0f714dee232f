"""What histories come to: one record a run for programs, one line a method for people."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from thinwire.common.history import History
from thinwire.common.units import about
from thinwire.sim.grouping import grouped

SCHEMA = "thinwire.simulate/v1"
# The end of a run is noisy; its accuracy is the mean of so many last measurements.
LAST = 5


def outcome_of(history: History) -> dict[str, object]:
    """One run as a record; `target_*` are null when there is no target or it was not reached."""
    header, last, reached = history.header, history.rows[-1], history.reached
    deltas = sum(row.deltas for row in history.rows)
    return {
        "schema": SCHEMA,
        "scenario": header.scenario,
        "method": header.method,
        "seed": header.seed,
        "reason": history.end.reason if history.end else "",
        "accuracy": final_accuracy(history),
        "device_accuracy": final(history, "device_accuracy"),
        "device_accuracy_worst": final(history, "device_accuracy_worst"),
        "best_accuracy": max((row.accuracy or 0.0 for row in history.measured), default=None),
        "target_accuracy": header.target_accuracy,
        "target_time_s": reached.time_s if reached else None,
        "target_bytes": reached.bytes_up + reached.bytes_down if reached else None,
        "commits": last.version,
        "deltas": deltas,
        "rejected": history.rejected,
        "time_s": history.time_s,
        "bytes_up": history.bytes_up,
        "bytes_down": history.bytes_down,
        "staleness": sum(row.staleness * row.deltas for row in history.rows) / max(1, deltas),
        "delay_steps": last.delay_steps,
        "overlap": last.overlap,
        "checksum": last.checksum,
        "devices": header.devices,
        "devices_equal": _equal(history),
        "wall_s": history.end.wall_s if history.end else 0.0,
    }


def final_accuracy(history: History) -> float | None:
    """The mean accuracy of the last measurements; None when there are none."""
    return final(history, "accuracy")


def final(history: History, metric: str) -> float | None:
    """The mean of a metric over the last measurements; None when there are none."""
    last = [row.metrics[metric] for row in history.measured[-LAST:] if metric in row.metrics]
    return mean(last) if last else None


def _equal(history: History) -> int | None:
    # Devices of a run that was cut off had no chance; older histories have 0 there.
    end = history.end
    return None if end is None or end.reason.endswith(" s were over") else end.devices_equal


def summary(histories: Sequence[History]) -> list[dict[str, str]]:
    """A line a method and its settings, over their seeds."""
    return [_method(runs.label, runs.histories) for runs in grouped(histories)]


def _method(name: str, runs: Sequence[History]) -> dict[str, str]:
    records = [outcome_of(run) for run in runs]
    reached = [run.reached for run in runs]
    times = [row.time_s for row in reached if row]
    traffic = [row.bytes_up + row.bytes_down for row in reached if row]
    return {
        "method": name,
        "seeds": str(len(runs)),
        "accuracy": _spread([a for run in runs if (a := final_accuracy(run)) is not None]),
        "target": f"{len(times)} of {len(runs)}" if any(run.header.target_accuracy for run in runs) else "-",
        "time to target": f"{mean(times):.1f} s" if times else "-",
        "bytes to target": about(mean(traffic)) if traffic else "-",
        "commits": _mean(records, "commits"),
        "time": f"{mean(run.time_s for run in runs):.1f} s",
        "up": about(mean(run.bytes_up for run in runs)),
        "down": about(mean(run.bytes_down for run in runs)),
        "staleness": _mean(records, "staleness", ".1f"),
        "delay": f"{_mean(records, 'delay_steps')} steps",
        "hidden": _hidden(runs),
    }


def _hidden(runs: Sequence[History]) -> str:
    # Where no transfer takes time there is nothing to hide.
    if all(run.header.link == "none" for run in runs):
        return "-"
    return f"{mean(run.rows[-1].overlap for run in runs):.0%}"


def _spread(figures: Sequence[float]) -> str:
    if not figures:
        return "-"
    around = f" ± {(max(figures) - min(figures)) / 2:.3f}" if len(figures) > 1 else ""
    return f"{mean(figures):.3f}{around}"


def _mean(records: Sequence[dict[str, object]], name: str, form: str = ".0f") -> str:
    return format(mean(float(str(record[name])) for record in records), form)
