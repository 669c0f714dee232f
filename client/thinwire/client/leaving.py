"""How an agent that is told to end does so: its trainer saves what is unsent first, within a few seconds."""

from __future__ import annotations

from thinwire.client.custody import Custody
from thinwire.client.effects import Effect, Quit
from thinwire.client.seat import Seat

# How long a trainer may take to save its residual.
LEAVE_WITHIN_S = 4.0
LEAVING = Quit(0, "told to stop")


class Leaving:
    """Nothing until `begin`; from then on waits for the trainer, which may be too slow or gone."""

    def __init__(self, seat: Seat, custody: Custody) -> None:
        self._seat, self._custody = seat, custody
        self.at: float | None = None

    def begin(self, now: float) -> list[Effect]:
        """Leave; at once when the trainer has learned nothing that could be lost."""
        if self._seat.ready is None or self._seat.figures.steps == 0:
            return [LEAVING]
        self.at = now + LEAVE_WITHIN_S
        return self._custody.save_now(now)

    def trainer_done(self) -> list[Effect]:
        """The trainer has saved its residual, or has ended."""
        return [LEAVING] if self.at is not None else []

    def tick(self, now: float) -> list[Effect]:
        """Leave all the same, if it took too long."""
        return [LEAVING] if self.at is not None and now >= self.at else []
