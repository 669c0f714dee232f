"""One group's rate over time: a coarse ladder downward, then the window rule.

The gain of a window is the relative fall of the training loss against the window before,

    gain = (before - now) / |before|

and a group's gain is the median of its devices', each weighted by its share.

    ladder    rung after rung, downward, a window each, as long as the gain stays at 0.7 or more of the rung's before;
              then back to that rung. The first rung takes two windows: one to compare with.
    window    gain < plateau: density * 1.5;   gain > progress: density / 1.25;   else it stays
              after a change, gain < -plateau: undo it, and hold still for two windows
              where nearly everything is sent as it is, no rise: it could not help

What devices disagree about is doubt: a mark counts as passed only where the gain is beyond it by that much, and while
none is passed and the doubt reaches over one, windows are taken together. Gains of windows in a row add up to the fall
from before the first to the last, so the doubt of their mean shrinks with their number.
"""

from __future__ import annotations

import msgspec

from thinwire.server.density.rules import DensityRules

KEEPS_PACE = 0.7
RAISE, LOWER = 1.5, 1.25
REST = 2  # windows, after a change that was undone
SATURATED = 0.01  # of the energy, or less, is left unsent


class Rate(msgspec.Struct, kw_only=True):
    """A density and how it came to be."""

    density: float
    rung: int = -1  # on the ladder; -1 once that is over
    pace: float | None = None  # gain on the rung before
    before: float | None = None  # density before the last change
    rest: int = 0
    gains: float = 0.0  # sum over `windows` that said nothing clear so far
    windows: int = 0
    doubt: float = 0.0  # the largest of theirs

    @classmethod
    def at_start(cls, rules: DensityRules) -> Rate:
        """On the highest rung, or with the window rule at once where there is none to choose from."""
        if len(rules.ladder) > 1:
            return cls(density=rules.ladder[0], rung=0)
        return cls(density=rules.ladder[0] if rules.ladder else rules.up)

    def close_window(self, gain: float, unsent: float, rules: DensityRules, doubt: float = 0.0) -> None:
        """Take in a window's gain, how far it is to be doubted, and the share of the energy left unsent in it."""
        if self.rung >= 0:
            self._climb_down(gain, rules)
        elif self.rest:
            self.rest -= 1
        else:
            self.gains, self.windows = self.gains + gain, self.windows + 1
            self.doubt = max(self.doubt, doubt)
            self._adjust(self.gains / self.windows, self.doubt / self.windows, unsent, rules)

    def _climb_down(self, gain: float, rules: DensityRules) -> None:
        if self.pace is not None and gain < min(KEEPS_PACE * self.pace, self.pace):
            self.rung, self.density = -1, rules.ladder[self.rung - 1]
            return
        self.pace, self.rung = gain, self.rung + 1
        if self.rung == len(rules.ladder):
            self.rung = -1
        else:
            self.density = rules.ladder[self.rung]

    def _adjust(self, gain: float, doubt: float, unsent: float, rules: DensityRules) -> None:
        least, most = gain - doubt, gain + doubt
        if self.before is not None and most < -rules.plateau:
            self._settle(self.before, None)
            self.rest = REST
        elif most < rules.plateau:
            raised = min(rules.most, RAISE * self.density)
            self._move(self.density if unsent <= SATURATED else raised)
        elif least > rules.progress:
            self._move(max(rules.least, self.density / LOWER))
        elif least >= rules.plateau and most <= rules.progress:
            self._move(self.density)

    def _move(self, density: float) -> None:
        self._settle(density, self.density if density != self.density else None)

    def _settle(self, density: float, before: float | None) -> None:
        self.density, self.before = density, before
        self.gains, self.windows, self.doubt = 0.0, 0, 0.0
