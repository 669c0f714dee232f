"""How groups share one budget: where a little more density would recover most of what is left unsent, there it goes.

With top-k and a residual the energy left unsent falls about like 1 / density, E = C / rho, so its slope is -E / rho.
The least total at a given mean density has the same slope everywhere:

    rho_g  proportional to  sqrt(E_g * rho_g)

which stands still when E_g / rho_g is the same in all groups; groups that lose the same get the same. G groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

HALVINGS = 60  # of an interval: to the last bit of a float


def need_of(unsent: float, density: float) -> float:
    """What a group's next density is proportional to."""
    return math.sqrt(unsent * density)


def allocate(
    need_G: Sequence[float], weight_G: Sequence[float], mean: float, least: float, most: float
) -> list[float]:
    """Densities within the bounds, in proportion to need, whose weighted mean is `mean`; all `mean` without need."""
    total, highest = math.fsum(weight_G), max(need_G)
    if highest <= 0 or total <= 0:
        return [mean for _ in need_G]

    def at(scale: float) -> list[float]:
        return [min(most, max(least, scale * need / highest)) for need in need_G]

    low, high = 0.0, most * highest / min((need for need in need_G if need > 0), default=highest)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        spent = math.fsum(weight * density for weight, density in zip(weight_G, at(middle), strict=True))
        low, high = (middle, high) if spent < mean * total else (low, middle)
    return at(high)
