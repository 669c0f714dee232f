"""When the residual is saved: often enough that a power cut costs little, rarely enough that flash memory lasts."""

from __future__ import annotations

from thinwire.client.store import Covered, residual_name
from thinwire.common import frames

# One save of 11.17 M parameters, 45 MB, every 28 minutes: 2.3 GB a day, whatever else a setting asks for.
MOST_BYTES_PER_S = 27_000.0
LONGEST_S = 30 * 60.0


class ResidualSchedule:
    """Counts cuts and time since the last save; `every` is in cuts."""

    def __init__(self, generation: int, every: int) -> None:
        self._generation, self._every = generation, every
        self._cuts = self._steps = self._saved_steps = 0
        self._since: float | None = None
        self._size_bytes = 0

    def begin(self, ready: frames.Ready, now: float) -> None:
        """A trainer has what was saved before, and nothing else."""
        self._size_bytes = 4 * ready.parameters
        self._cuts = 0
        self._since = now if self._since is None else self._since

    def cut(self, refunds: int, now: float) -> frames.SaveResidual | None:
        """A delta was cut: what to ask of the trainer, if it is time."""
        self._cuts += 1
        return self.ask(refunds, now) if self._cuts >= self._every and self._affordable(now) else None

    def look(self, steps: int, refunds: int, now: float) -> frames.SaveResidual | None:
        """The trainer has come to so many steps: what to ask of it, if it is time."""
        self._steps = steps
        late = self._since is not None and now - self._since >= LONGEST_S
        return self.ask(refunds, now) if late and steps > self._saved_steps and self._affordable(now) else None

    def ask(self, refunds: int, now: float) -> frames.SaveResidual:
        """What to ask of the trainer, now."""
        self._generation += 1
        self._cuts, self._since, self._saved_steps = 0, now, self._steps
        return frames.SaveResidual(
            file=residual_name(self._generation), generation=self._generation, refunds=refunds
        )

    def _affordable(self, now: float) -> bool:
        return self._since is None or now - self._since >= self._size_bytes / MOST_BYTES_PER_S


def covered(saved: frames.ResidualSaved) -> Covered:
    """The record that makes a saved residual the one to begin with."""
    return Covered(
        generation=saved.generation,
        seals=saved.seals,
        refunds=saved.refunds,
        file_bytes=saved.file_bytes,
        crc=saved.crc,
    )
