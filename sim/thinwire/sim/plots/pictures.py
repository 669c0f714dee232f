"""What there is to draw of histories: what over what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from thinwire.common.history import Row

Figure_ = Callable[[Row], float | None]


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn over what; what `stays` is drawn on to the end of a run, over time."""

    name: str
    title: str
    x_label: str
    y_label: str
    x: Figure_
    y: Figure_
    from_zero: bool = True
    target: bool = False
    x_logarithmic: bool = False
    stays: bool = False


def traffic(row: Row) -> float:
    """Up and down until then, MiB."""
    return (row.bytes_up + row.bytes_down) / 2**20


def density(row: Row) -> float | None:
    """Share of the parameters, mean over the groups, in per cent."""
    return 100 * sum(row.density.values()) / len(row.density) if row.density else None


PICTURES = (
    Picture(
        "accuracy-time", "Accuracy over time", "time (s)", "accuracy", lambda r: r.time_s,
        lambda r: r.accuracy, from_zero=False, target=True, stays=True,
    ),
    Picture(
        "accuracy-bytes", "Accuracy over traffic of the whole fleet", "bytes up and down (MiB)", "accuracy", traffic,
        lambda r: r.accuracy, from_zero=False, target=True,
    ),
)  # fmt: skip
MORE_PICTURES = (
    Picture("bytes", "Traffic of the whole fleet", "time (s)", "bytes up and down (MiB)", lambda r: r.time_s, traffic),
    Picture(
        "staleness", "Staleness of deltas", "time (s)", "versions late, mean", lambda r: r.time_s,
        lambda r: r.staleness if r.deltas else None,
    ),
    Picture(
        "delay", "Delay from a delta's cut to its inclusion", "time (s)", "local steps, median over devices",
        lambda r: r.time_s, lambda r: r.delay_steps,
    ),
    Picture("density", "Density up", "time (s)", "share of the parameters (%)", lambda r: r.time_s, density),
    Picture(
        "overlap", "Transfer hidden behind computing, until then", "time (s)", "share of the transfer time (%)",
        lambda r: r.time_s, lambda r: 100 * r.overlap,
    ),
)  # fmt: skip
