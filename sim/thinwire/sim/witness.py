"""What really happened, kept beside the product and never asked of it: who must hold which token, and what was said.

The witness sees each journal entry as it is written and each word as it arrives, and does its own sums on tokens. From
that it demands, at every moment (see GUARANTEES.md for the promises):

    M1  born = accepted + dropped + abandoned + forgotten + on the device, for each device and token
    M2  the model is the sum of all accepted deltas, by share; M3 no token is in it, or anywhere, twice
    M4  a delta has one outcome, which never changes; M5 a device knows of none that the journal does not have
    M6  what a journal says is what the process that wrote it had, bit for bit
    M7  versions, leader epochs and store epochs only grow; a published version stays as it is

`forgotten` is what was held in memory when a process died less what its disk must give back, never the remainder; but
who begins anew, as after a rollback, has forgotten all that is not in the model, as soon as that is safe on its disk.
Where a disk was set back, and until a device has begun anew for sure, what it held may be there or not (`void`), and
still never twice; what must hold of the coordinator's journal is what holds of the one that survives.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import Limits
from thinwire.common.layout import Layout
from thinwire.common.values import CommitChunk, FromCoordinator, FromDevice, Outcome, SnapshotChunk, Verdict, Welcome
from thinwire.server import entries
from thinwire.server.state import RunState
from thinwire.sim import memo
from thinwire.sim.book import EPOCHS, Book, Identity, Sums, ViolationError, Written
from thinwire.sim.tokens import Count, Purse, counted, doubled
from thinwire.trainer.replica import Replica


@dataclass(slots=True)
class Account:
    """What the witness knows of one device."""

    purse: Purse
    forgotten_P: Count
    # Tokens of which nobody can say whether the device still has them: a disk was set back. They may be there or not.
    void_P: Count


class Witness:
    """Sees everything, from the first process on; `shares` are powers of two."""

    def __init__(self, layout: Layout, purses: dict[str, Purse], lineage: bytes) -> None:
        self._layout = layout
        self._limits = Limits(layout.hash, layout.size, layout.size)
        self._none: Count = np.zeros(layout.size, np.int64)
        self.accounts = {name: Account(purse, self._none.copy(), self._none.copy()) for name, purse in purses.items()}
        self.sent: dict[Identity, set[bytes]] = {}
        # By SHA-256, for where a disk was set back a number may come twice.
        self.sealed: dict[bytes, Count] = {}
        self.chosen: dict[bytes, NDArray[np.int64]] = {}  # the coordinates, some of which may hold nothing
        self.lineages = [lineage]
        self.book = Book.begin(Sums.none(layout.size))
        self._doubted: set[str] = set()  # devices of which nobody can say what they hold
        self._fickle: set[tuple[str, int]] = set()  # device and life: they may give a number to other bytes
        self._begun: set[tuple[str, int]] = set()
        self._rewound: set[int] = set()  # lineages in which the coordinator's disk was set back
        self._versions: dict[int, set[bytes]] = {}  # by lineage: every model that could be told
        self.repeated = self.checked = 0

    def life(self, lineage: bytes, epoch: int) -> int:
        """A store epoch of a lineage; 0 for none."""
        return self.lineages.index(lineage) * EPOCHS + epoch if epoch else 0

    # -- what is set back --------------------------------------------------------------------------------------

    def put_back(self, book: Book) -> None:
        """The coordinator's disk is what it was when this book was copied: what came after it is void."""
        self._rewound.add(book.sums.generation)
        self._turn_to(book.copy())

    def rolled_back(self, version: int, lineage: bytes) -> None:
        """An operator has begun a new lineage with the model as it was at a version."""
        base = self.book.at(version)
        base.folded_P = np.zeros(self._layout.size)
        # What waited for the next version then is void, too.
        base.accepted = dict(base.included.get(version, {}))
        self.lineages.append(lineage)
        base.generation = len(self.lineages) - 1
        self._turn_to(Book.begin(base, version))

    def _turn_to(self, book: Book) -> None:
        before = {device: self.gone(device) for device in self.accounts}
        self.book = book
        for device, account in self.accounts.items():
            after_P = self.gone(device)
            account.void_P |= before[device] & ~after_P
            fresh_P = after_P & ~before[device]
            account.void_P &= ~fresh_P
            account.forgotten_P &= ~fresh_P

    def cast_doubt(self, device: str) -> None:
        """A device's disk is not what it was, or it begins anew: what it held may be gone, and lost things be back."""
        account = self.accounts[device]
        account.void_P = account.purse.born_P & ~self.gone(device)
        account.forgotten_P = self._none.copy()
        self._doubted.add(device)

    def settle_doubt(self, device: str) -> None:
        """A device has begun anew, and can never go back: what it held, and what is not in the model, is forgotten."""
        account = self.accounts[device]
        account.forgotten_P = account.forgotten_P | (account.void_P & ~self.gone(device))
        account.void_P = self._none.copy()
        self._doubted.discard(device)

    def exchanged(self, device: str, lives: set[int]) -> None:
        """Another disk is in a device, in one of these lives: in those it may give a number to other bytes."""
        self._fickle |= {(device, life) for life in lives}
        self.cast_doubt(device)

    def begins(self, device: str, life: int) -> None:
        """A device is in a new life, which nobody was in before unless the coordinator has forgotten it."""
        if (device, life) in self._begun:
            self._demand(life // EPOCHS in self._rewound, f"{device} is given life {life} a second time")
            self._fickle.add((device, life))
        self._begun.add((device, life))

    def claim(self, device: str, token_P: Count) -> None:
        """A device has these tokens after all; raise ViolationError when it must not."""
        account = self.accounts[device]
        self._demand(
            not doubled(token_P) and not (token_P & ~account.void_P).any(),
            f"{device}: what an older disk gives back is in the model, or somewhere else",
        )
        account.void_P &= ~token_P

    # -- what the coordinator writes ---------------------------------------------------------------------------

    def wrote(self, number: int, entry: entries.AnyEntry, body: bytes) -> None:
        """An entry went into the journal."""
        token_P = None
        if isinstance(entry, entries.Admitted | entries.Rejected):
            who = self.book.sums.identity(entry)
            self._demand(who not in self.book.sums.settled, f"delta {who} was settled twice")
            token_P = self.sealed.get(entry.sha256)
            self._demand(entry.sha256 in self.sent.get(who, ()), f"delta {who} was settled, but never sent")
            if isinstance(entry, entries.Admitted):
                token_P = self.tokens(body)
                self._demand(
                    entry.sha256 == hashlib.sha256(body).digest(), f"delta {who} was accepted with other bytes"
                )
        elif isinstance(entry, entries.Committed):
            told = self.book.revealed_version
            self._demand(entry.version > told, f"version {entry.version} is made a second time")
        self.book.write(Written(number, entry, token_P))

    def decided(self, state: RunState, number: int) -> None:
        """The process that wrote up to this entry is in this state."""
        self.book.digests[number] = digest(state)
        self.book.models[state.model.version] = _version(state.model.version, state.model.weights_P)

    def recovered(self, state: RunState, last: int) -> None:
        """Another process took over, with entries up to `last`; what nobody was told of may be undone."""
        book, before = self.book, {device: self.gone(device) for device in self._doubted}
        lost = book.undo(last)
        for device, gone_P in before.items():
            # It was doubted while the coordinator was down, when all that had been written counted as gone.
            self.accounts[device].void_P |= gone_P & ~self.gone(device)
        for written in lost:
            if isinstance(written.entry, entries.Admitted | entries.Rejected):
                who = book.sums.identity(written.entry)
                self._demand(who not in book.outcomes, f"the outcome of delta {who} was told, and is lost")
            elif isinstance(written.entry, entries.Committed):
                version = written.entry.version
                self._demand(version > book.revealed_version, f"version {version} was sent out, and is lost")
            elif isinstance(written.entry, entries.Led):
                told = max(book.leaders.values(), default=0)
                self._demand(written.entry.leader_epoch > told, "a leader epoch was told, and is lost")
        if last in book.digests:
            self.checked += 1
            self._demand(book.digests[last] == digest(state), f"replay up to entry {last} is not what was there")
        self.told(state)
        self.model(state)

    def undo(self, last: int) -> None:
        """What was written after this entry is not there."""
        self.book.undo(last)

    def performed(self, version: int, payload: bytes) -> None:
        """A version was published."""
        known = self.book.published.setdefault(version, payload)
        self._demand(known == payload, f"version {version} became another")
        self._known_here.add(self.book.models[version])

    def told(self, state: RunState) -> None:
        """A process begins with this state, and may tell of it and of all versions before it."""
        model = state.model
        # Later ones were undone.
        models = {version: known for version, known in self.book.models.items() if version < model.version}
        self.book.models = models | {model.version: _version(model.version, model.weights_P)}
        self._known_here.update(self.book.models.values())

    @property
    def _known_here(self) -> set[bytes]:
        return self._versions.setdefault(self.book.sums.generation, set())

    def model(self, state: RunState) -> None:
        """Hold the model against the sum of what was accepted."""
        there_P = state.model.weights_P.astype(np.float64) + state.model.residual_P
        wanted_P = self.book.sums.wanted_P
        self._demand(np.array_equal(wanted_P, there_P), "the model is not the sum of the deltas it includes")
        self._demand(
            state.identity.lineage == self.lineages[self.book.sums.generation], "the training is of another lineage"
        )

    # -- what is said ------------------------------------------------------------------------------------------

    def said(self, device: str, life: int, seq: int, sha256: bytes) -> None:
        """A device begins to send a delta."""
        known = self.sent.setdefault((device, life, seq), {sha256})
        if (device, life) in self._fickle:
            known.add(sha256)
        self._demand(sha256 in known, f"delta {(device, life, seq)} was sent with other bytes than before")

    def heard(self, device: str, life: int, word: FromDevice | FromCoordinator) -> None:
        """A word arrived at a device that is in this life."""
        match word:
            case Outcome():
                self._outcome((device, life, word.seq), word)
            case Welcome():
                self._welcome(device, word)
            case CommitChunk() | SnapshotChunk():
                self.book.revealed_version = max(self.book.revealed_version, word.version)
            case _:
                pass

    def _welcome(self, device: str, word: Welcome) -> None:
        epochs, leaders = self.book.epochs, self.book.leaders
        current = self.lineages[self.book.sums.generation]
        self._demand(word.lineage == current, f"{device} is welcomed to a lineage that is no more")
        for what, told, now in (("store", epochs, word.epoch), ("leader", leaders, word.leader_epoch)):
            before = told.setdefault(device, now)
            self._demand(now >= before, f"{device}: {what} epoch {now} after {before}")
            told[device] = now
        for outcome in word.outcomes:
            self._outcome((device, self.life(word.lineage, word.epoch), outcome.seq), outcome)

    def _outcome(self, who: Identity, outcome: Outcome) -> None:
        entry, outcomes = self.book.sums.settled.get(who), self.book.outcomes
        self._demand(entry is not None, f"delta {who} has an outcome that is in no journal")
        accepted = isinstance(entry, entries.Admitted)
        self._demand(accepted == (outcome.verdict is Verdict.ACCEPTED), f"delta {who}: the journal says otherwise")
        plain = replace(outcome, message="")
        self.repeated += who in outcomes
        self._demand(outcomes.setdefault(who, plain) == plain, f"the outcome of delta {who} has changed")

    # -- what a device holds -----------------------------------------------------------------------------------

    def seal(self, sha256: bytes, payload: bytes) -> None:
        """A trainer has cut a delta; if it is never sent, another may take its number."""
        self.sealed[sha256] = self.tokens(payload)
        self.chosen[sha256] = memo.unpacked(payload, self._limits).index_K

    def settled(self, who: Identity, sha256: bytes | None = None) -> bool:
        """Whether a delta is in the model, or dropped: no device counts it any more."""
        entry = self.book.sums.settled.get(who)
        if entry is None or entry.sha256 != (sha256 or entry.sha256):
            return False
        return isinstance(entry, entries.Admitted) or (isinstance(entry, entries.Rejected) and not entry.refund)

    def gone(self, device: str) -> Count:
        """Tokens of a device that are in the model, or dropped for good."""
        return self.book.sums.gone(device)

    def forget(self, device: str, token_P: Count) -> None:
        """These tokens went down with a process, as they may."""
        self.accounts[device].forgotten_P += token_P

    def accounted(self, device: str) -> bool:
        """Whether all of a device's tokens are in the model, or known to be lost."""
        account = self.accounts[device]
        return not (account.purse.born_P & ~(self.gone(device) + account.forgotten_P) & ~account.void_P).any()

    def device(
        self, device: str, life: int, replica: Replica, held: dict[int, bytes], accepted: set[int], *, synced: bool
    ) -> None:
        """Hold a device's books against what is there: its replica, and deltas (by SHA-256) in its outbox.

        `accepted` are those of which the device knows that they are; `synced` unless it waits for a snapshot.
        """
        account, flying_P = self.accounts[device], self._flying(device, life, replica, held)
        for seq in accepted:
            entry = self.book.sums.settled.get((device, life, seq))
            known = isinstance(entry, entries.Admitted)
            self._demand(known, f"{device} goes on with delta {seq} as accepted, and no journal has it")
        own_P = unsealed(replica)
        there_P = self.gone(device) + account.forgotten_P + flying_P + own_P
        missing_P = account.purse.born_P - there_P
        if (missing_P < 0).any() or (missing_P & ~account.void_P).any():
            odd = int(np.flatnonzero((missing_P < 0) | (missing_P & ~account.void_P != 0))[0])
            raise ViolationError(
                f"{device}: coordinate {odd} has tokens {base4(account.purse.born_P[odd])}, but there are "
                f"{base4(there_P[odd])}: {base4(self.gone(device)[odd])} gone, {base4(account.forgotten_P[odd])} "
                f"forgotten, {base4(flying_P[odd])} sealed, {base4(own_P[odd])} unsent"
            )
        self._demand(not doubled(there_P), f"{device}: a token is there twice")
        self._demand(not doubled(account.forgotten_P), f"{device}: a token that was lost is there")
        if replica.based and synced:
            self._versioned(device, life, replica)
            self._own_work_once(device, replica, own_P)

    def nothing_left(self, device: str, life: int, replica: Replica, held: dict[int, bytes]) -> bool:
        """Whether nothing of what a device holds could still change the model."""
        return not (self._flying(device, life, replica, held).any() or unsealed(replica).any())

    def _flying(self, device: str, life: int, replica: Replica, held: dict[int, bytes]) -> Count:
        flying_P = np.zeros(self._layout.size, np.int64)
        for seq in sorted(held.keys() | replica.pending.keys()):
            if not self.settled((device, life, seq), held.get(seq)):
                flying_P += self.sealed[held[seq]] if seq in held else self.pending(replica, seq)
        return flying_P

    def _versioned(self, device: str, life: int, replica: Replica) -> None:
        base, known = _version(replica.version, replica.base_P), self._versions.get(life // EPOCHS, set())
        self._demand(base in known, f"{device} trains on a version {replica.version} that never was")

    def _own_work_once(self, device: str, replica: Replica, own_P: Count) -> None:
        work_P = self.included(device, replica.version) + own_P
        for seq in replica.pending:
            work_P += self.pending(replica, seq)
        self._demand(not doubled(work_P), f"{device} trains on own work twice at version {replica.version}")

    def included(self, device: str, version: int) -> Count:
        """Tokens of a device that are in a version, or waiting at the coordinator for the next to carry them."""
        return self.book.sums.included.get(version, {}).get(device, self._none)

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
        state.roster.dump(), state.leader_epoch, state.norms.dump(),
    )  # fmt: skip
    hashed.update(msgspec.msgpack.encode(rest))
    return hashed.digest()


def _version(version: int, weights_P: NDArray[np.float32]) -> bytes:
    return version.to_bytes(8, "little") + weights_P.tobytes()


def base4(count: int) -> str:
    """A number of tokens as its digits."""
    digits = ""
    while count > 0:
        digits, count = str(count % 4) + digits, count // 4
    return digits or "0"
