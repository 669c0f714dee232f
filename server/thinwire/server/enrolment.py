"""What is written down of a device beside its deltas: its name, its epoch, and how many examples it has.

Each of these is an entry of the journal, and a name that ever came keeps a row in the ledger. Where there is no TLS
anyone can make up names; so there is room for so many names and no more, and each may only so often be written of.
"""

from __future__ import annotations

import math

from thinwire.common.values import RefusalReason
from thinwire.server import entries
from thinwire.server.allowance import Allowance
from thinwire.server.effects import Refused
from thinwire.server.rules import KNOWN_PER_CONNECTED
from thinwire.server.state import RunState

# When one that finds no place in the ledger may ask again: an operator has to make room.
MANY_KNOWN_S = 600.0


class Enrolment:
    """Accounts and members of one run; the ledger has room for `max_known` names, 0 for any number."""

    def __init__(self, state: RunState, max_known: int) -> None:
        self._ledger, self._roster = state.ledger, state.roster
        self._max_known = max_known
        self.allowance = Allowance()

    def refuse_name(self, device: str) -> Refused | None:
        """Whether there is no room for one more name, and this is a new one."""
        if self._ledger.row(device) is not None or len(self._ledger) < (self._max_known or math.inf):
            return None
        message = (
            f"{len(self._ledger)} devices are known already, and this is none of them; "
            f"at most {self._max_known} are ({KNOWN_PER_CONNECTED} times limits.max_devices)"
        )
        return Refused(device, message, RefusalReason.FULL, MANY_KNOWN_S)

    def begin(self, device: str, lost: str, now: float) -> entries.Greeted | Refused:
        """Open an account for a device, a new one if it had one; `lost` says what became of that."""
        if not self.allowance.take(device, now):
            return self._too_often(device, "begins anew", now)
        row = self._ledger.row(device)
        greeted = entries.Greeted(device=device, epoch=row.epoch + 1 if row else 1, lost=lost)
        self._ledger.begin(device, greeted.epoch)
        return greeted

    def join(self, device: str, examples: int, now: float) -> entries.Joined | Refused | None:
        """Have a device take part; None when all of that is known already."""
        member = self._roster.members.get(device)
        if member is not None and member.examples == examples:
            return None
        # A device that is new has been counted when it greeted.
        if member is not None and not self.allowance.take(device, now):
            return self._too_often(device, "changes its number of examples", now)
        self._roster.enrol(device, examples)
        return entries.Joined(device=device, examples=examples)

    def _too_often(self, device: str, deed: str, now: float) -> Refused:
        wait_s = self.allowance.wait_s(device, now)
        message = f"this device {deed} too often; it may again in {wait_s:.0f} s"
        return Refused(device, message, RefusalReason.RATE_LIMITED, wait_s)
