"""When the coordinator hears how a device is doing: a while after something happened, and once when all is over.

A report costs about 150 bytes. Only what happens makes one due, so an idle stream carries nothing but keep-alive; while
the training runs one every so often keeps status pages alive.
"""

from __future__ import annotations

from thinwire.client.download import Download
from thinwire.client.effects import Effect, Quit, Send, SendReport
from thinwire.client.seat import Seat
from thinwire.client.upload import Upload
from thinwire.common.values import Echo

REPORT_EVERY_S = 5.0


class Reports:
    """The reports of one stream, at most one in five seconds, and the last of a training."""

    def __init__(self, seat: Seat, upload: Upload, download: Download, *, leave_when_finished: bool) -> None:
        self._seat, self._upload, self._download = seat, upload, download
        self._leave_when_finished = leave_when_finished
        self.at: float | None = None

    def welcomed(self, now: float) -> list[Effect]:
        """A stream begins: the round trip is measured at once."""
        return [self._probe(now)]

    def soon(self, now: float, *, live: bool) -> None:
        """Something happened that is worth telling."""
        if self.at is None and live:
            self.at = now + REPORT_EVERY_S

    def lose_link(self) -> None:
        """Nobody is there to hear it."""
        self.at = None

    def tick(self, now: float) -> list[Effect]:
        """Report, if it is time."""
        if self.at is None or now < self.at:
            return []
        self.at = None
        return [SendReport(), self._probe(now)]

    def farewell(self, *, live: bool) -> list[Effect]:
        """Report the last version once its model is checked; perhaps the agent then leaves.

        Offline it waits for the next stream, where Finish comes again.
        """
        figures = self._seat.figures
        checked = figures.checksum is not None and figures.version == self._download.finish_at
        if not (checked and live):
            return []
        leave: list[Effect] = [Quit(0, "training is over")] if self._leave_when_finished else []
        return [SendReport(final=True), *leave]

    def _probe(self, now: float) -> Effect:
        self._upload.probe(now)
        return Send(Echo(b"rtt"))
