"""Pictures of histories: a line a method, its seeds as a band. Needs matplotlib, the extra `plots`.

A band reaches from the lowest to the highest seed, and the line is their mean; both end where the first seed ends, for
beyond it they would be of fewer.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thinwire.common.errors import ThinwireError
from thinwire.common.history import History, Row
from thinwire.sim.grouping import Runs, grouped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Figure_ = Callable[[Row], float | None]
POINTS = 400
# Inches of a picture, and of a line of its legend; letters that such a line holds.
WIDTH, HEIGHT, LINE, LETTERS = 7.2, 4.1, 0.19, 105
# Okabe and Ito, 2008: told apart by people who see few colours.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
DASHES = ("-", "--", "-.", ":")


class PlotError(ThinwireError):
    """A picture that cannot be drawn here."""


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


def _bytes(row: Row) -> float:
    return (row.bytes_up + row.bytes_down) / 2**20


def _density(row: Row) -> float | None:
    return 100 * sum(row.density.values()) / len(row.density) if row.density else None


PICTURES = (
    Picture(
        "accuracy-time", "Accuracy over time", "time (s)", "accuracy", lambda r: r.time_s,
        lambda r: r.accuracy, from_zero=False, target=True, stays=True,
    ),
    Picture(
        "accuracy-bytes", "Accuracy over traffic of the whole fleet", "bytes up and down (MiB)", "accuracy", _bytes,
        lambda r: r.accuracy, from_zero=False, target=True,
    ),
)  # fmt: skip
MORE_PICTURES = (
    Picture("bytes", "Traffic of the whole fleet", "time (s)", "bytes up and down (MiB)", lambda r: r.time_s, _bytes),
    Picture(
        "staleness", "Staleness of deltas", "time (s)", "versions late, mean", lambda r: r.time_s,
        lambda r: r.staleness if r.deltas else None,
    ),
    Picture(
        "delay", "Delay from a delta's cut to its inclusion", "time (s)", "local steps, median over devices",
        lambda r: r.time_s, lambda r: r.delay_steps,
    ),
    Picture("density", "Density up", "time (s)", "share of the parameters (%)", lambda r: r.time_s, _density),
    Picture(
        "overlap", "Transfer hidden behind computing, until then", "time (s)", "share of the transfer time (%)",
        lambda r: r.time_s, lambda r: 100 * r.overlap,
    ),
)  # fmt: skip


def draw(picture: Picture, histories: Sequence[History], form: str) -> bytes:
    """The picture as "svg" or "png"."""
    figure, axes = _canvas(picture)
    groups = grouped(histories)
    for place, runs in zip(slots(groups), groups, strict=True):
        _line(axes, picture, runs.label, runs.histories, place)
    if picture.target:
        _targets(axes, histories)
    if picture.x_logarithmic:
        axes.set_xscale("log")
    if picture.from_zero:
        axes.set_ylim(bottom=0)
    _legend(figure, axes)
    return _saved(figure, form)


def by_group(history: History, form: str, label: str = "") -> bytes:
    """Density up over time of one history, a line a group; `label` is what it is called, by default its method."""
    title = f"Density up by group: {_plain(label or history.header.method)}"
    picture = Picture("", title, "time (s)", "share of the parameters (%)", lambda r: r.time_s, _density)
    figure, axes = _canvas(picture)
    for place, group in enumerate(sorted({group for row in history.rows for group in row.density})):
        here = [(row.time_s, 100 * row.density[group]) for row in history.rows if group in row.density]
        axes.plot(
            *zip(*here, strict=True), marker="o", markevery=[-1], ms=4, color=COLOURS[place % len(COLOURS)],
            label=_plain(group), linewidth=1.5,
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    _legend(figure, axes)
    return _saved(figure, form)


def scaling(
    sizes: Sequence[int], speeds: Mapping[str, Sequence[float]], memory_MiB: Sequence[float], form: str
) -> bytes:
    """Speed, a line for each name, and memory of the simulator over the size of its fleet."""
    picture = Picture("", "The simulator, by fleet", "devices", "device-commits a second of one core", _bytes, _bytes)
    figure, axes = _canvas(picture)
    for colour, (name, figures) in zip(COLOURS, speeds.items(), strict=False):
        axes.loglog(sizes, figures, "o-", color=colour, label=name)
    axes.set_ylim(bottom=1, top=10 * max(max(figures) for figures in speeds.values()))
    other = axes.twinx()
    other.loglog(sizes, memory_MiB, "s--", color=COLOURS[len(speeds)], label="memory")
    other.set_ylabel("memory (MiB)")
    other.set_ylim(bottom=10, top=10 * max(memory_MiB))
    lines = [*axes.get_lines(), *other.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], frameon=False, fontsize=9, loc="lower left")
    return _saved(figure, form)


def curves(
    title: str, x_label: str, y_label: str, named: Sequence[tuple[str, Sequence[tuple[float, float]]]], form: str
) -> bytes:
    """Any curves; those of one name have one colour, and one place in the legend."""
    figure, axes = _canvas(Picture("", title, x_label, y_label, _bytes, _bytes))
    names = list(dict.fromkeys(name for name, _ in named))
    for number, (name, points) in enumerate(named):
        first = name not in [before for before, _ in named[:number]]
        colour = COLOURS[names.index(name) % len(COLOURS)]
        label = _plain(name) if first else "_"  # the legend leaves out what begins so
        axes.plot(*zip(*points, strict=True), color=colour, label=label, linewidth=1.3)
    axes.legend(frameon=False, fontsize=9)
    return _saved(figure, form)


def lines(
    title: str, axes_labels: tuple[str, str], series: Mapping[str, Sequence[tuple[float, float]]], form: str
) -> bytes:
    """A line with marks for each name, over (x, y); y is logarithmic."""
    picture = Picture("", title, *axes_labels, _bytes, _bytes)
    figure, axes = _canvas(picture)
    for place, (name, points) in enumerate(series.items()):
        colour, dash = look(place)
        axes.semilogy(*zip(*points, strict=True), f"o{dash}", color=colour, label=_plain(name), ms=4, linewidth=1.5)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return _saved(figure, form)


def _canvas(picture: Picture) -> tuple[Figure, Axes]:
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise PlotError(f"pictures need {error.name}: pip install 'thinwire[plots]'") from error
    # No window, no fonts as outlines, and the same bytes for the same history.
    matplotlib.use("agg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "thinwire", "font.family": "sans-serif"})
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    axes.set_title(textwrap.fill(picture.title, LETTERS - 30), fontsize=11, loc="left")
    axes.set_xlabel(picture.x_label)
    axes.set_ylabel(picture.y_label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


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
        x_N, mean_N, dash, marker="o", markevery=[-1], ms=4, color=colour, label=_plain(method) + seeds,
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


def look(place: int) -> tuple[str, str]:
    """The colour and the dash of the method at a place."""
    return COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]


def _legend(figure: Figure, axes: Axes) -> None:
    """Names below the axes, where they cover no curve, in as many columns as the longest of them leaves room for."""
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    columns = max(1, min(4, len(labels), LETTERS // (max(map(len, labels)) + 7)))
    figure.set_figheight(HEIGHT + LINE * math.ceil(len(labels) / columns))
    legend = figure.legend(handles, labels, loc="outside lower left", ncols=columns, frameon=False, fontsize=9)
    for handle, shown, text in zip(handles, legend.legend_handles, legend.get_texts(), strict=True):
        if handle.get_gid() and shown is not None:
            shown.set_gid(f"legend-line-{handle.get_gid()}")
            text.set_gid(f"legend-text-{handle.get_gid()}")


def band(curves: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats, Floats, Floats]:
    """Places (N,) that all curves cover, and the lowest, mean and highest there."""
    if len(curves) == 1:
        x_N, y_N = curves[0]
        return x_N, y_N, y_N, y_N
    begin, end = max(x_N[0] for x_N, _ in curves), min(x_N[-1] for x_N, _ in curves)
    x_N = np.linspace(begin, max(begin, end), POINTS)
    y_SN = np.stack([np.interp(x_N, *curve) for curve in curves])
    return x_N, y_SN.min(axis=0), y_SN.mean(axis=0), y_SN.max(axis=0)


def _plain(text: str) -> str:
    # A dollar begins a formula.
    return text.replace("$", r"\$")


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


def _saved(figure: Any, form: str) -> bytes:
    into = BytesIO()
    # A date in the file would make two drawings of one history differ.
    figure.savefig(into, format=form, dpi=144, metadata={"Date": None} if form == "svg" else {"Software": None})
    return into.getvalue()
