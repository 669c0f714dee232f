"""Pictures of histories: a line a method, its seeds as a band.

A band reaches from the lowest to the highest seed, and the line is their mean; both end where the first seed ends, for
beyond it they would be of fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from thinwire.common.history import History
from thinwire.sim.grouping import Runs, grouped
from thinwire.sim.plots.canvas import COLOURS, canvas, legend, look, plain, saved
from thinwire.sim.plots.pictures import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
POINTS = 400


def draw(picture: Picture, histories: Sequence[History], form: str) -> bytes:
    """The picture as "svg" or "png"."""
    figure, axes = canvas(picture.title, picture.x_label, picture.y_label)
    groups = grouped(histories)
    for place, runs in zip(slots(groups), groups, strict=True):
        _line(axes, picture, runs.label, runs.histories, place)
    if picture.target:
        _targets(axes, histories)
    if picture.x_logarithmic:
        axes.set_xscale("log")
    if picture.from_zero:
        axes.set_ylim(bottom=0)
    legend(figure, axes)
    return saved(figure, form)


def by_group(history: History, form: str, label: str = "") -> bytes:
    """Density up over time of one history, a line a group; `label` is what it is called, by default its method."""
    title = f"Density up by group: {plain(label or history.header.method)}"
    figure, axes = canvas(title, "time (s)", "share of the parameters (%)")
    for place, group in enumerate(sorted({group for row in history.rows for group in row.density})):
        here = [(row.time_s, 100 * row.density[group]) for row in history.rows if group in row.density]
        axes.plot(
            *zip(*here, strict=True), marker="o", markevery=[-1], ms=4, color=COLOURS[place % len(COLOURS)],
            label=plain(group), linewidth=1.5,
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    legend(figure, axes)
    return saved(figure, form)


def _line(axes: Axes, picture: Picture, method: str, runs: Sequence[History], place: int) -> None:
    curves = [curve for run in runs if (curve := _curve(picture, run)) is not None]
    if not curves:
        return
    x_N, low_N, mean_N, high_N = band(curves)
    colour, dash = look(place)
    seeds = f" ({len(curves)} seeds)" if len(curves) > 1 else ""
    # The page of a report finds the shapes of a method in all its pictures by their id.
    known = f"{picture.name}--m{place}"
    # A mark at its end, without which a line of one version could not be seen.
    axes.plot(
        x_N, mean_N, dash, marker="o", markevery=[-1], ms=4, color=colour, label=plain(method) + seeds,
        linewidth=1.5, gid=known,
    )  # fmt: skip
    if len(curves) > 1:
        width = 4 if x_N[0] == x_N[-1] else 0
        axes.fill_between(x_N, low_N, high_N, color=colour, alpha=0.18, linewidth=width, gid=f"band-{known}")


def slots(groups: Sequence[Runs]) -> list[int]:
    """Of each group its method's place in the scenario, drawn with others or alone; the rest come after these."""
    headers = [history.header for runs in groups for history in runs.histories]
    listed = dict.fromkeys(method for header in headers for method in header.methods)
    free = {method: place for place, method in enumerate(listed)}
    further = count(len(listed))
    return [free.pop(method) if method in free else next(further) for method in map(_method, groups)]


def _method(runs: Runs) -> str:
    return runs.histories[0].header.method


def band(curves: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats, Floats, Floats]:
    """Places (N,) that all curves cover, and the lowest, mean and highest there."""
    if len(curves) == 1:
        x_N, y_N = curves[0]
        return x_N, y_N, y_N, y_N
    begin, end = max(x_N[0] for x_N, _ in curves), min(x_N[-1] for x_N, _ in curves)
    x_N = np.linspace(begin, max(begin, end), POINTS)
    y_SN = np.stack([np.interp(x_N, *curve) for curve in curves])
    return x_N, y_SN.min(axis=0), y_SN.mean(axis=0), y_SN.max(axis=0)


def _curve(picture: Picture, history: History) -> tuple[Floats, Floats] | None:
    found = [(picture.x(row), picture.y(row)) for row in history.rows]
    known = [(x, y) for x, y in found if x is not None and y is not None]
    if picture.stays and known and history.end is not None and history.end.time_s > known[-1][0]:
        # Versions may stop long before a run does, and the model stays as it is.
        known.append((history.end.time_s, known[-1][1]))
    known_N2 = np.array(known, np.float64)
    return (known_N2[:, 0], known_N2[:, 1]) if known else None


def _targets(axes: Axes, histories: Sequence[History]) -> None:
    for target in {history.header.target_accuracy for history in histories} - {0.0}:
        axes.axhline(target, color="#555555", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            f"target {target:g}", (1.0, target), xycoords=("axes fraction", "data"), ha="right", va="bottom",
            fontsize=8, color="#555555",
        )  # fmt: skip
