"""How a store is read when an agent starts: from the newest segment back, until a summary says that all is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from thinwire.client.outbox import Outbox, SealedDelta
from thinwire.client.store import records
from thinwire.client.store.account import Account
from thinwire.common.errors import DamagedError
from thinwire.common.log import Log


@dataclass(slots=True)
class Restored:
    """Where an agent goes on."""

    lineage: bytes = b""
    epoch: int = 0
    leader_epoch: int = 0
    version: int = 0
    generation: int = 0
    outbox: Outbox = field(default_factory=Outbox)
    abandoned: int = 0  # deltas that were in a store which had to be set aside
    problem: str = ""  # why it had to be


def account_of(log: Log) -> Account:
    """What the records come to; raise DamagedError when some are missing."""
    # Older segments may be back after a power cut in mid-deletion: what is needed says the newest summary.
    for segment in reversed(log.segments):
        account = _read(log, segment.first)
        if account is not None:
            return account
    if log.next > 1:
        raise DamagedError(f"the outbox begins at record {log.first}, and nothing says what was before it")
    return Account()


def _read(log: Log, first: int) -> Account | None:
    """The account, if the records from `first` on are all that it takes."""
    found = [(record.number, records.decode(record.header, record.number)) for record in log.read(first)]
    account, needed = Account(), -1
    for number, record in reversed(found):
        if isinstance(record, records.Joined | records.Summary):
            needed = number if isinstance(record, records.Joined) else record.floor
            if isinstance(record, records.Summary):
                account.presume(record)
            break
    if needed < first:
        return None
    for number, record in found:
        if number >= needed:
            account.take(number, record)
    return account


def restored_from(account: Account, log: Log) -> Restored:
    """What an agent needs of it; raise DamagedError when a delta is not what was sealed."""
    outbox = Outbox(account.sealed, account.settled, account.refunds)
    seals = [seal for seal in account.seals.values() if seal.pending]
    for seal, body in zip(seals, bodies(log, {seal.number for seal in seals}), strict=True):
        record = seal.record
        delta = SealedDelta.seal(
            record.seq,
            body,
            buffer_bytes=record.buffer_bytes,
            steps=record.steps,
            loss=record.loss,
            energy=record.energy,
        )
        if delta.header.sha256 != record.sha256:
            raise DamagedError(f"delta {record.seq} is not what was sealed")
        outbox.restore(delta, accepted=seal.settled is not None)
    return Restored(
        account.lineage, account.epoch, account.leader_epoch, account.version, account.generation, outbox
    )


def bodies(log: Log, numbers: set[int]) -> Iterator[bytes]:
    """The bodies of these records, in order, one at a time."""
    if numbers:
        last = max(numbers)
        for record in log.read(min(numbers)):
            if record.number in numbers:
                yield record.body
            if record.number == last:
                return
