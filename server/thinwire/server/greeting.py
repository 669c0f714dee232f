"""Whether a device that greets is the one the ledger knows, and whether it knows more than the ledger does.

What coordinator and device have told each other was on disk before it was said. So a device that knows less than the
ledger has lost or copied its store, and goes on under a new epoch; and a device that knows more proves that it is the
coordinator that was set back, as by an older backup. A single device may also lie: its claim alone refuses it, and only
claims of at least half of the devices that have greeted hold the training.
"""

from __future__ import annotations

import enum

from thinwire.server.events import Greeted
from thinwire.server.ledger import Row


class Recognition(enum.Enum):
    """Who is it; the words say why a device goes on under a new epoch."""

    KNOWN = "known"
    AHEAD = "ahead"
    NEW = ""
    OLDER_EPOCH = "its store is of an earlier epoch; it was copied or restored"
    SET_BACK = "its store has lost deltas that were settled here; it was restored, or its disk lies"
    CONFLICT = "it holds other bytes under the number of a delta that was settled here; its store was copied"


def recognise(event: Greeted, row: Row | None, version: int, leader_epoch: int) -> Recognition:
    """Hold what a device knows against its account, the model's version and the leader epoch here."""
    if event.epoch == 0:
        return Recognition.NEW
    if event.version > version or event.leader_epoch > leader_epoch:
        return Recognition.AHEAD
    if row is None or event.epoch > row.epoch or (event.epoch == row.epoch and event.settled_through > row.contiguous):
        return Recognition.AHEAD
    if event.epoch < row.epoch:
        return Recognition.OLDER_EPOCH
    # One that says nothing of its seals may still name some that it asks about.
    sealed_through = max([event.sealed_through, *(sealed.seq for sealed in event.unsettled)])
    if sealed_through < row.contiguous:
        return Recognition.SET_BACK
    return _conflicts(event, row)


def _conflicts(event: Greeted, row: Row) -> Recognition:
    for sealed in event.unsettled:
        kept = row.outcomes[sealed.seq][0] if sealed.seq in row.outcomes else None
        if sealed.seq <= row.contiguous and kept != sealed.sha256:
            return Recognition.CONFLICT
    return Recognition.KNOWN


# Where there is no TLS anyone can claim anything under any number of names.
MOST_CLAIMS = 10_000


class Doubts:
    """Devices that claim to know of a later state of this lineage than there is here."""

    def __init__(self) -> None:
        self._claims: dict[str, int] = {}  # the version that each says there is
        self._satisfied: set[str] = set()

    def claim(self, event: Greeted) -> None:
        """A device says that it knows more."""
        self._satisfied.discard(event.device)
        if len(self._claims) < MOST_CLAIMS or event.device in self._claims:
            self._claims[event.device] = event.version

    def withdraw(self, device: str) -> None:
        """A device greeted and says nothing of the kind."""
        self._claims.pop(device, None)
        self._satisfied.add(device)

    @property
    def grave(self) -> bool:
        """Whether so many say so that going on would overwrite what was published."""
        return bool(self._claims) and len(self._claims) >= len(self._satisfied)

    def words(self, version: int) -> str:
        """What is the matter, and what an operator can do."""
        # A copy: words are read in other threads than the one in which devices come.
        claims = dict(self._claims)
        known, device = max(claims.values(), default=0), next(iter(claims), "")
        return (
            f"this coordinator is at version {version}, but {len(claims)} devices (such as {device!r:.66}) know "
            f"of a later state, up to version {known}: it was restored from an older backup. Stop it and restore the "
            f"newer state, or go on from here as a new lineage with: thinwire rollback STATE_DIR --to {version}"
        )
