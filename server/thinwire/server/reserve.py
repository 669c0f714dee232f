"""When a disk is so full that nothing new should begin.

A coordinator that writes until the disk is full stops in the middle of what it has taken. So it stops earlier: what is
left then is for what must still be written, such as the commit of deltas that were accepted, and for whoever else
shares the disk.
"""

from __future__ import annotations

from thinwire.common.disk import Space

# The reserve must be there again with this much more, or a disk at its edge would begin and stop all the time.
BACK = 1.1
# A tenth of a large disk would be far more than a run writes before somebody looks.
MOST_BYTES = 1 << 30


class Reserve:
    """A share of the disk that stays free, at most `most_bytes` of it, at least what is needed; a share of 0 is none.

    `needed_bytes` is what a run writes next even if nothing new is begun; whoever knows keeps it up to date.
    """

    def __init__(self, share: float, most_bytes: int) -> None:
        self._share, self._most_bytes = share, most_bytes
        self.needed_bytes = 0
        self._space = Space(0, 0)
        self.low = False

    def look(self, space: Space) -> bool:
        """Take note of how much room there is; whether `low` has changed."""
        before, self._space = self.low, space
        self.low = self.short(space)
        return self.low != before

    def short(self, space: Space) -> bool:
        """Whether so much room would be too little."""
        return space.free_bytes < self._wanted(space) * (BACK if self.low else 1.0)

    @property
    def wanted_bytes(self) -> float:
        """What should be free."""
        return self._wanted(self._space)

    @property
    def words(self) -> str:
        """What is the matter."""
        free, wanted = self._space.free_bytes / 2**20, self.wanted_bytes / 2**20
        return (
            f"state.dir's disk has {free:,.0f} MiB left, and {wanted:,.0f} MiB are kept in reserve (state.reserve):"
            " no new delta and no new device is taken until there is room"
        )

    def _wanted(self, space: Space) -> float:
        if not self._share:
            return 0.0
        return max(min(self._share * space.total_bytes, float(self._most_bytes)), float(self.needed_bytes))
