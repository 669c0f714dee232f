"""Pictures of histories and of benchmarks. They need matplotlib, the extra `plots`."""

from thinwire.sim.plots.canvas import PlotError, look
from thinwire.sim.plots.figures import curves, lines, scaling
from thinwire.sim.plots.pictures import MORE_PICTURES, PICTURES
from thinwire.sim.plots.runs import band, by_group, draw, slots

__all__ = [
    "MORE_PICTURES", "PICTURES", "PlotError", "band", "by_group", "curves", "draw", "lines", "look", "scaling", "slots",
]  # fmt: skip
