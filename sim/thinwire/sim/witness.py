"""What really happened, kept beside the product and never asked of it: who must hold which token, and what was said.

The witness sees each journal entry as it is written and each word as it arrives, and does its own sums on tokens. From
that it demands, at every moment (see GUARANTEES.md for the promises):

    M1  born = accepted + dropped + abandoned + forgotten + on the device, for each device and token
    M2  the model is the sum of all accepted deltas, by share; M3 no token is in it, or anywhere, twice
    M4  a delta has one outcome, which never changes; M5 a device knows of none that the journal does not have
    M6  what a journal says is what the process that wrote it had, bit for bit
    M7  versions, leader epochs and store epochs only grow; a published version stays as it is

`forgotten` is what was held in memory when a process died less what its disk must give back, never the remainder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import Limits
from thinwire.common.layout import Layout
from thinwire.common.values import CommitChunk, FromCoordinator, FromDevice, Outcome, SnapshotChunk, Verdict, Welcome
from thinwire.server import entries
from thinwire.server.state import RunState
from thinwire.sim import memo
from thinwire.sim.tokens import Count, Purse, counted, doubled
from thinwire.trainer.replica import Replica

Identity = tuple[str, int, int]  # device, epoch, seq


class ViolationError(AssertionError):
    """A promise was broken."""


@dataclass(slots=True)
class Account:
    """What the witness knows of one device."""

    purse: Purse
    epoch: int = 0
    leader_epoch: int = 0
    forgotten_P: Count = field(default_factory=lambda: np.zeros(0, np.int64))
    version: int = 0


@dataclass(frozen=True, slots=True)
class _Written:
    number: int
    entry: entries.AnyEntry
    token_P: Count | None


class Witness:
    """Sees everything, from the first process on; `shares` are powers of two."""

    def __init__(self, layout: Layout, purses: dict[str, Purse]) -> None:
        self._layout = layout
        self._limits = Limits(layout.hash, layout.size, layout.size)
        self._none: Count = np.zeros(layout.size, np.int64)
        self.accounts = {
            name: Account(purse, forgotten_P=np.zeros(layout.size, np.int64)) for name, purse in purses.items()
        }
        self.sent: dict[Identity, bytes] = {}
        self.sealed: dict[Identity, Count] = {}
        self.chosen: dict[Identity, NDArray[np.int64]] = {}  # the coordinates, some of which may hold nothing
        self.outcomes: dict[Identity, Outcome] = {}
        self.published: dict[int, bytes] = {}
        self.revealed_version = 0
        self._journal: list[_Written] = []
        self._digests: dict[int, bytes] = {}
        self._accepted: dict[str, Count] = {}
        self._dropped: dict[str, Count] = {}
        self._included: dict[int, dict[str, Count]] = {}  # by version: of each device, what it holds
        self._wanted_P = self._folded_P = np.zeros(layout.size)
        self._settled: dict[Identity, entries.Admitted | entries.Rejected] = {}
        self.repeated = self.checked = 0

    # -- what the coordinator writes ---------------------------------------------------------------------------

    def wrote(self, number: int, entry: entries.AnyEntry, body: bytes) -> None:
        """An entry went into the journal."""
        token_P = None
        if isinstance(entry, entries.Admitted | entries.Rejected):
            who = (entry.device, entry.epoch, entry.seq)
            self._demand(who not in self._settled, f"delta {who} was settled twice")
            token_P = self.sealed.get(who)
            if isinstance(entry, entries.Admitted):
                token_P = self.tokens(body)
                self._demand(
                    self.sent.get(who) == hashlib.sha256(body).digest(), f"delta {who} was accepted, but never sent"
                )
        elif isinstance(entry, entries.Committed):
            self._demand(entry.version > self.revealed_version, f"version {entry.version} is made a second time")
        self._journal.append(_Written(number, entry, token_P))
        self._book(self._journal[-1])

    def _book(self, written: _Written) -> None:
        match written.entry:
            case entries.Admitted() as entry:
                self._settled[entry.device, entry.epoch, entry.seq] = entry
                assert written.token_P is not None
                self._accepted[entry.device] = self._accepted.get(entry.device, self._none) + written.token_P
                self._folded_P = self._folded_P + entry.weight * written.token_P
                self._demand(not doubled(self._accepted[entry.device]), f"{entry.device}: a token was accepted twice")
            case entries.Rejected() as entry:
                self._settled[entry.device, entry.epoch, entry.seq] = entry
                if not entry.refund and written.token_P is not None:
                    self._dropped[entry.device] = self._dropped.get(entry.device, self._none) + written.token_P
            case entries.Committed() as entry:
                self._included[entry.version] = dict(self._accepted)
                self._wanted_P, self._folded_P = self._wanted_P + self._folded_P, np.zeros(self._layout.size)
            case _:
                pass

    def decided(self, state: RunState, number: int) -> None:
        """The process that wrote up to this entry is in this state."""
        self._digests[number] = digest(state)

    def recovered(self, state: RunState, last: int) -> None:
        """Another process took over, with entries up to `last`; what nobody was told of may be undone."""
        lost = [written for written in self._journal if written.number > last]
        self.undo(last)
        for written in lost:
            if isinstance(written.entry, entries.Admitted | entries.Rejected):
                who = (written.entry.device, written.entry.epoch, written.entry.seq)
                self._demand(who not in self.outcomes, f"the outcome of delta {who} was told, and is lost")
            elif isinstance(written.entry, entries.Committed):
                version = written.entry.version
                self._demand(version > self.revealed_version, f"version {version} was sent out, and is lost")
            elif isinstance(written.entry, entries.Led):
                told = max(account.leader_epoch for account in self.accounts.values())
                self._demand(written.entry.leader_epoch > told, "a leader epoch was told, and is lost")
        if last in self._digests:
            self.checked += 1
            self._demand(self._digests[last] == digest(state), f"replay up to entry {last} is not what was there")
        for number in [number for number in self._digests if number > last]:
            del self._digests[number]
        self.model(state)

    def undo(self, last: int) -> None:
        """What was written after this entry is not there."""
        if not self._journal or self._journal[-1].number <= last:
            return
        self._journal = [written for written in self._journal if written.number <= last]
        for booked in (self._accepted, self._dropped, self._included, self._settled):
            booked.clear()
        self._wanted_P = self._folded_P = np.zeros(self._layout.size)
        for written in self._journal:
            self._book(written)

    def performed(self, version: int, payload: bytes) -> None:
        """A version was published."""
        self._demand(self.published.setdefault(version, payload) == payload, f"version {version} became another")

    def model(self, state: RunState) -> None:
        """Hold the model against the sum of what was accepted."""
        there_P = state.model.weights_P.astype(np.float64) + state.model.residual_P
        self._demand(np.array_equal(self._wanted_P, there_P), "the model is not the sum of the deltas it includes")

    # -- what is said ------------------------------------------------------------------------------------------

    def said(self, device: str, epoch: int, seq: int, sha256: bytes) -> None:
        """A device begins to send a delta."""
        who = (device, epoch, seq)
        self._demand(self.sent.setdefault(who, sha256) == sha256, f"delta {who} was sent with other bytes than before")

    def heard(self, device: str, epoch: int, word: FromDevice | FromCoordinator) -> None:
        """A word arrived at a device that is in this epoch."""
        match word:
            case Outcome():
                self._outcome((device, epoch, word.seq), word)
            case Welcome():
                account = self.accounts[device]
                self._demand(word.epoch >= account.epoch, f"{device}: store epoch {word.epoch} after {account.epoch}")
                self._demand(
                    word.leader_epoch >= account.leader_epoch,
                    f"{device}: leader epoch {word.leader_epoch} after {account.leader_epoch}",
                )
                account.epoch, account.leader_epoch = word.epoch, word.leader_epoch
                for outcome in word.outcomes:
                    self._outcome((device, word.epoch, outcome.seq), outcome)
            case CommitChunk() | SnapshotChunk():
                self.revealed_version = max(self.revealed_version, word.version)
            case _:
                pass

    def _outcome(self, who: Identity, outcome: Outcome) -> None:
        entry = self._settled.get(who)
        self._demand(entry is not None, f"delta {who} has an outcome that is in no journal")
        accepted = isinstance(entry, entries.Admitted)
        self._demand(accepted == (outcome.verdict is Verdict.ACCEPTED), f"delta {who}: the journal says otherwise")
        plain = replace(outcome, message="")
        self.repeated += who in self.outcomes
        self._demand(self.outcomes.setdefault(who, plain) == plain, f"the outcome of delta {who} has changed")

    # -- what a device holds -----------------------------------------------------------------------------------

    def seal(self, device: str, epoch: int, seq: int, payload: bytes) -> None:
        """A trainer has cut a delta; if it is never sent, another may take its number."""
        self.sealed[device, epoch, seq] = self.tokens(payload)
        self.chosen[device, epoch, seq] = memo.unpacked(payload, self._limits).index_K

    def settled(self, who: Identity) -> bool:
        """Whether a delta is in the model, or dropped: no device counts it any more."""
        entry = self._settled.get(who)
        return isinstance(entry, entries.Admitted) or (isinstance(entry, entries.Rejected) and not entry.refund)

    def refunded(self, who: Identity) -> bool:
        """Whether a delta was rejected and goes back to its device."""
        entry = self._settled.get(who)
        return isinstance(entry, entries.Rejected) and entry.refund

    def gone(self, device: str) -> Count:
        """Tokens of a device that are in the model, or dropped for good."""
        return self._accepted.get(device, self._none) + self._dropped.get(device, self._none)

    def included(self, device: str, version: int) -> Count:
        """Tokens of a device that are in a version, or waiting at the coordinator for the next to carry them."""
        return self._included.get(version, {}).get(device, self._none)

    def forget(self, device: str, token_P: Count) -> None:
        """These tokens went down with a process, as they may."""
        self.accounts[device].forgotten_P += token_P

    def device(self, device: str, epoch: int, replica: Replica, held: dict[int, Count]) -> None:
        """Hold a device's books against what is there: its replica, and deltas in its outbox or on their way to it."""
        account = self.accounts[device]
        flying_P = np.zeros(self._layout.size, np.int64)
        for seq in sorted(held.keys() | replica.pending.keys()):
            if not self.settled((device, epoch, seq)):
                flying_P += held[seq] if seq in held else self.pending(replica, seq)
        own_P = unsealed(replica)
        there_P = self.gone(device) + account.forgotten_P + flying_P + own_P
        if not np.array_equal(there_P, account.purse.born_P):
            odd = int(np.flatnonzero(there_P != account.purse.born_P)[0])
            raise ViolationError(
                f"{device}: coordinate {odd} has tokens {base4(account.purse.born_P[odd])}, but there are "
                f"{base4(there_P[odd])}: {base4(self.gone(device)[odd])} gone, {base4(account.forgotten_P[odd])} "
                f"forgotten, {base4(flying_P[odd])} sealed, {base4(own_P[odd])} unsent"
            )
        self._demand(not doubled(there_P), f"{device}: a token is there twice")
        if replica.based:
            self._own_work_once(device, replica, own_P)

    def _own_work_once(self, device: str, replica: Replica, own_P: Count) -> None:
        work_P = self.included(device, replica.version) + own_P
        for seq in replica.pending:
            work_P += self.pending(replica, seq)
        self._demand(not doubled(work_P), f"{device} trains on own work twice at version {replica.version}")

    def pending(self, replica: Replica, seq: int) -> Count:
        """Tokens of a delta that a replica carries."""
        delta = replica.pending[seq]
        token_P = np.zeros(self._layout.size, np.int64)
        token_P[delta.index_K] = counted(delta.value_K)
        return token_P

    def tokens(self, payload: bytes) -> Count:
        """The tokens of a packed delta (P,)."""
        found = memo.unpacked(payload, self._limits)
        token_P = np.zeros(self._layout.size, np.int64)
        token_P[found.index_K] = counted(found.value_K)
        return token_P

    def _demand(self, kept: bool, promise: str) -> None:
        if not kept:
            raise ViolationError(promise)


def unsealed(replica: Replica) -> Count:
    """Tokens that a replica holds and has not sealed."""
    live_P = replica.working_P.astype(np.float64) - replica.origin_P
    return counted(live_P + replica.residual_P + replica.unsent_P)


def digest(state: RunState) -> bytes:
    """A fingerprint of everything that a journal must give back."""
    model, fold = state.model, state.fold
    hashed = hashlib.blake2b(digest_size=16)
    for vector in (model.weights_P, model.residual_P, model.buffers_B, fold._sum_P):
        hashed.update(vector.tobytes())
    rest = (
        model.version, model.checksum, fold.count, state.phase, sorted(state.contributors), state.ledger.dump(),
        state.roster.dump(), state.leader_epoch,
    )  # fmt: skip
    hashed.update(msgspec.msgpack.encode(rest))
    return hashed.digest()


def base4(count: int) -> str:
    """A number of tokens as its digits."""
    digits = ""
    while count > 0:
        digits, count = str(count % 4) + digits, count // 4
    return digits or "0"
