"""What became of each delta: one outcome for each (device, epoch, seq), and it never changes.

Deltas of one device come in the order of their numbers on one stream, so an outcome is either already known (the first
one is repeated), or due now. The same number with other bytes is a conflict, never a duplicate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from thinwire.common.settings.conflicts import MOST_WINDOW
from thinwire.common.values import Outcome, Sealed
from thinwire.server.outcomes import Outcomes, RejectedRow

# An agent has at most its window unsettled; older outcomes are never asked for again.
KEPT_OUTCOMES = MOST_WINDOW
# Device, epoch, contiguous, published, then its outcomes as they are dumped.
LedgerRow = tuple[str, int, int, int, bytes, list[RejectedRow]]


@dataclass(slots=True)
class Row:
    """One device's account."""

    epoch: int
    contiguous: int = 0  # every delta up to this number is settled
    published: int = 0  # of these, up to this number they were told so in a commit
    outcomes: Outcomes = field(default_factory=lambda: Outcomes(KEPT_OUTCOMES))


class LedgerError(ValueError):
    """A delta whose number cannot be right; the stream is refused, nothing is settled."""


class Ledger:
    """The accounts of all devices of one lineage."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    def __len__(self) -> int:
        """How many devices have an account."""
        return len(self._rows)

    def row(self, device: str) -> Row | None:
        """A device's account, if it has one."""
        return self._rows.get(device)

    def begin(self, device: str, epoch: int) -> None:
        """Open a new account for a device; the older one is closed for ever."""
        self._rows[device] = Row(epoch)

    def recall(self, device: str, epoch: int, unsettled: Iterable[Sealed]) -> tuple[Outcome, ...]:
        """Outcomes of the deltas that the device asks about, where there is one."""
        known = (self.known(device, epoch, sealed.seq, sealed.sha256) for sealed in unsettled)
        return tuple(outcome for outcome in known if outcome is not None)

    def known(self, device: str, epoch: int, seq: int, sha256: bytes) -> Outcome | None:
        """The first outcome of that delta, or None when it is due; raise LedgerError when it is neither."""
        row = self._rows[device]
        if epoch != row.epoch:
            raise LedgerError(
                f"delta {seq} belongs to epoch {epoch}; the device is in epoch {row.epoch} by now"
            )
        if seq in row.outcomes:
            first_sha256, outcome = row.outcomes[seq]
            if first_sha256 != sha256:
                raise LedgerError(f"delta {seq} came before with other bytes")
            return outcome
        if seq <= row.contiguous:
            raise LedgerError(f"delta {seq} was settled long ago; the last is {row.contiguous}")
        return None

    def settle(self, device: str, sha256: bytes, outcome: Outcome) -> None:
        """Write down the outcome of the next delta of a device."""
        row = self._rows[device]
        if outcome.seq != row.contiguous + 1:
            raise LedgerError(f"delta {outcome.seq} came, but {row.contiguous + 1} is next")
        row.outcomes.add(sha256, outcome)
        row.contiguous = outcome.seq

    def next_seq(self, device: str) -> int:
        """The number that the device's next new delta must have."""
        return self._rows[device].contiguous + 1

    def news(self) -> dict[str, tuple[int, int]]:
        """(epoch, seq) of every device with deltas settled since the last call."""
        fresh = {device: row for device, row in self._rows.items() if row.contiguous > row.published}
        for row in fresh.values():
            row.published = row.contiguous
        return {device: (row.epoch, row.contiguous) for device, row in fresh.items()}

    def published(self) -> dict[str, tuple[int, int]]:
        """(epoch, seq) of every device as of the last published version."""
        return {device: (row.epoch, row.published) for device, row in self._rows.items()}

    def dump(self) -> list[LedgerRow]:
        """Every account."""
        return [
            (device, row.epoch, row.contiguous, row.published, *row.outcomes.dump())
            for device, row in self._rows.items()
        ]

    def load(self, rows: Iterable[LedgerRow]) -> None:
        """Go on from what another ledger dumped; raise ValueError when none can have."""
        for device, epoch, contiguous, published, sha256s, rejected in rows:
            row = self._rows[device] = Row(epoch, contiguous, published)
            row.outcomes.load(contiguous, sha256s, rejected)
