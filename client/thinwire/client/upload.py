"""Deltas on their way out, and what the trainer hears of them."""

from __future__ import annotations

from thinwire.client.custody import Custody
from thinwire.client.effects import Effect, Note, Send, Tell
from thinwire.client.goodput import GoodputMeter
from thinwire.client.outbox import SealedDelta
from thinwire.client.seat import Seat
from thinwire.common import frames
from thinwire.common.values import Outcome, Staged, Verdict


class Upload:
    """Sends what is safe on disk; measures how fast it gets through."""

    def __init__(self, seat: Seat, custody: Custody) -> None:
        self._seat, self._custody = seat, custody
        self.goodput = GoodputMeter()
        self.rtt_s = 0.0
        self._echo_at: float | None = None

    def probe(self, now: float) -> None:
        """A time probe leaves now."""
        self._echo_at = now

    def echoed(self, now: float) -> None:
        """It is back."""
        if self._echo_at is not None:
            self.rtt_s = now - self._echo_at
            self.goodput.echoed(self.rtt_s)

    def lose_link(self) -> None:
        """What was on its way is measured anew."""
        self._echo_at = None
        self.goodput.lost()

    def resume(self, staged: tuple[Staged, ...], now: float) -> list[Effect]:
        """Send everything without an outcome, from where the coordinator holds it."""
        held = {part.seq: part.received_bytes for part in staged}
        sends = (self._send(delta, held.get(delta.seq, 0), now) for delta in self._custody.outbox.unsettled())
        return [effect for send in sends for effect in send]

    def send_kept(self, now: float, *, live: bool) -> list[Effect]:
        """All that was sealed is safe: send what has waited for that."""
        kept, effects = self._custody.persisted()
        for delta in kept if live else []:
            effects += self._send(delta, 0, now)
        return effects

    def settle(self, outcome: Outcome, now: float) -> list[Effect]:
        """The coordinator has decided."""
        self.goodput.settled(outcome.seq, now)
        effects = self._custody.settle(outcome)
        if outcome.verdict is Verdict.ACCEPTED:
            accepted = frames.Accepted(seq=outcome.seq, version=outcome.version)
            return effects + ([Tell(accepted)] if self._seat.waits_for_outcomes else [])
        if not effects:
            return []
        effects.append(Note("warning", f"delta {outcome.seq} rejected ({outcome.reason.name}): {outcome.message}"))
        if self._seat.ready is not None:
            # A trainer that is not there yet will be told what its predecessor was owed.
            effects.append(Tell(frames.Rejection(seq=outcome.seq, refund=outcome.refund)))
        return effects

    def _send(self, delta: SealedDelta, received_bytes: int, now: float) -> list[Effect]:
        self.goodput.sent(delta.seq, len(delta.payload) - received_bytes, now)
        return [Send(chunk) for chunk in delta.chunks(received_bytes)]
