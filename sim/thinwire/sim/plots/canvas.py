"""What all pictures have: the axes, the colours, the legend, and the bytes of the file. Needs matplotlib."""

from __future__ import annotations

import math
import textwrap
from io import BytesIO
from typing import TYPE_CHECKING, Any

from thinwire.common.errors import ThinwireError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches of a picture, and of a line of its legend; letters that such a line holds.
WIDTH, HEIGHT, LINE, LETTERS = 7.2, 4.1, 0.19, 105
# Okabe and Ito, 2008: told apart by people who see few colours.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
DASHES = ("-", "--", "-.", ":")


class PlotError(ThinwireError):
    """A picture that cannot be drawn here."""


def canvas(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """An empty picture; raise PlotError without matplotlib."""
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
    axes.set_title(textwrap.fill(title, LETTERS - 30), fontsize=11, loc="left")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def look(place: int) -> tuple[str, str]:
    """The colour and the dash of the method at a place."""
    return COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]


def legend(figure: Figure, axes: Axes) -> None:
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


def plain(text: str) -> str:
    """A text as it is: a dollar would begin a formula."""
    return text.replace("$", r"\$")


def saved(figure: Any, form: str) -> bytes:
    """The picture as "svg" or "png"."""
    into = BytesIO()
    # A date in the file would make two drawings of one history differ.
    figure.savefig(into, format=form, dpi=144, metadata={"Date": None} if form == "svg" else {"Software": None})
    return into.getvalue()
