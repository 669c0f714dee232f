"""Wrong logs and stores: what is on the disk, and what a start makes of it."""

from __future__ import annotations

import pytest

from thinwire.client.store import account, records
from thinwire.common.errors import DiskError
from thinwire.common.log import Log


def refund_apart_from_its_outcome(patch: pytest.MonkeyPatch) -> None:
    """Nothing says whether a saved residual has had a refund, so it may come twice."""

    def is_in(self: account.Change, covered: records.Covered) -> bool:
        return False if self.refund else self.seq <= covered.seals

    patch.setattr(account.Change, "is_in", is_in)


def broken_end_taken_for_a_torn_one(patch: pytest.MonkeyPatch) -> None:
    """Nothing says how far a log was synced, and damage at its end is cut off."""
    patch.setattr(Log, "_read_mark", lambda _: 0)


def failed_sync_ignored(patch: pytest.MonkeyPatch) -> None:
    """A disk that says that it could not sync is asked no more, and believed to have."""
    whole = Log.sync

    def sync(self: Log) -> int:
        try:
            return whole(self)
        except DiskError:
            return self.next - 1

    patch.setattr(Log, "sync", sync)


def summary_that_forgets_the_residual(patch: pytest.MonkeyPatch) -> None:
    """A start after a summary holds the saved residual for older than it is, and begins with none."""

    def presume(self: account.Account, record: records.Summary) -> None:
        self.lineage, self.epoch = record.lineage, record.epoch
        self.leader_epoch = max(self.leader_epoch, record.leader_epoch)
        self.sealed, self.settled = max(self.sealed, record.sealed), max(self.settled, record.settled)
        self.refunds = max(self.refunds, record.refunds)
        for covered in record.covered:
            self._cover(covered)

    patch.setattr(account.Account, "presume", presume)


def residual_that_survives_its_epoch(patch: pytest.MonkeyPatch) -> None:
    """A device that begins anew keeps what its older disk gives back."""
    whole = account.Account._begin

    def begin(self: account.Account, joined: records.Joined) -> None:
        covered = self.covered
        whole(self, joined)
        self.covered = covered

    patch.setattr(account.Account, "_begin", begin)
