"""Pictures of plain numbers, for the pages of benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thinwire.sim.plots.canvas import COLOURS, canvas, look, plain, saved


def scaling(
    sizes: Sequence[int], speeds: Mapping[str, Sequence[float]], memory_MiB: Sequence[float], form: str
) -> bytes:
    """Speed, a line for each name, and memory of the simulator over the size of its fleet."""
    figure, axes = canvas("The simulator, by fleet", "devices", "device-commits a second of one core")
    for colour, (name, figures) in zip(COLOURS, speeds.items(), strict=False):
        axes.loglog(sizes, figures, "o-", color=colour, label=name)
    axes.set_ylim(bottom=1, top=10 * max(max(figures) for figures in speeds.values()))
    other = axes.twinx()
    other.loglog(sizes, memory_MiB, "s--", color=COLOURS[len(speeds)], label="memory")
    other.set_ylabel("memory (MiB)")
    other.set_ylim(bottom=10, top=10 * max(memory_MiB))
    lines = [*axes.get_lines(), *other.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], frameon=False, fontsize=9, loc="lower left")
    return saved(figure, form)


def curves(
    title: str, x_label: str, y_label: str, named: Sequence[tuple[str, Sequence[tuple[float, float]]]], form: str
) -> bytes:
    """Any curves; those of one name have one colour, and one place in the legend."""
    figure, axes = canvas(title, x_label, y_label)
    names = list(dict.fromkeys(name for name, _ in named))
    for number, (name, points) in enumerate(named):
        first = name not in [before for before, _ in named[:number]]
        colour = COLOURS[names.index(name) % len(COLOURS)]
        label = plain(name) if first else "_"  # the legend leaves out what begins so
        axes.plot(*zip(*points, strict=True), color=colour, label=label, linewidth=1.3)
    axes.legend(frameon=False, fontsize=9)
    return saved(figure, form)


def lines(
    title: str, axes_labels: tuple[str, str], series: Mapping[str, Sequence[tuple[float, float]]], form: str
) -> bytes:
    """A line with marks for each name, over (x, y); y is logarithmic."""
    figure, axes = canvas(title, *axes_labels)
    for place, (name, points) in enumerate(series.items()):
        colour, dash = look(place)
        axes.semilogy(*zip(*points, strict=True), f"o{dash}", color=colour, label=plain(name), ms=4, linewidth=1.5)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return saved(figure, form)
