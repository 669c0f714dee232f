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

import numpy as np

from thinwire.common.layout import Layout
from thinwire.common.values import CommitChunk, FromCoordinator, FromDevice, Outcome, SnapshotChunk, Welcome
from thinwire.server import entries
from thinwire.server.state import RunState
from thinwire.sim import fingerprint
from thinwire.sim.account import Account
from thinwire.sim.book import Book, Sums, Written
from thinwire.sim.deltas import Deltas, unsealed
from thinwire.sim.lives import EPOCHS, Identity, Lives
from thinwire.sim.tokens import Count, Purse, doubled
from thinwire.sim.violation import demand
from thinwire.trainer.replica import Replica


class Witness:
    """Sees everything, from the first process on; `shares` are powers of two."""

    def __init__(self, layout: Layout, purses: dict[str, Purse], lineage: bytes) -> None:
        self._layout = layout
        self.accounts = {name: Account(name, purse) for name, purse in purses.items()}
        self.deltas, self.lives = Deltas(layout), Lives(lineage)
        self.book = Book.begin(Sums.none(layout.size))
        self._doubted: set[str] = set()  # devices of which nobody can say what they hold
        self._versions: dict[int, set[bytes]] = {}  # by lineage: every model that could be told

    # -- what is set back --------------------------------------------------------------------------------------

    def put_back(self, book: Book) -> None:
        """The coordinator's disk is what it was when this book was copied: what came after it is void."""
        self.lives.rewind(book.sums.generation)
        self._turn_to(book.copy())

    def rolled_back(self, version: int, lineage: bytes) -> None:
        """An operator has begun a new lineage with the model as it was at a version."""
        base = self.book.at(version)
        base.folded_P = np.zeros(self._layout.size)
        # What waited for the next version then is void, too.
        base.accepted = dict(base.included.get(version, {}))
        self.lives.lineages.append(lineage)
        base.generation = len(self.lives.lineages) - 1
        self._turn_to(Book.begin(base, version))

    def _turn_to(self, book: Book) -> None:
        before = {device: self.gone(device) for device in self.accounts}
        self.book = book
        for device, account in self.accounts.items():
            account.turn(before[device], self.gone(device))

    def cast_doubt(self, device: str) -> None:
        """A device's disk is not what it was, or it begins anew: what it held may be gone, and lost things be back."""
        self.accounts[device].cast_doubt(self.gone(device))
        self._doubted.add(device)

    def settle_doubt(self, device: str) -> None:
        """A device has begun anew, and can never go back: what it held, and what is not in the model, is forgotten."""
        self.accounts[device].settle_doubt(self.gone(device))
        self._doubted.discard(device)

    def exchanged(self, device: str, lives: set[int]) -> None:
        """Another disk is in a device, in one of these lives: in those it may give a number to other bytes."""
        self.lives.exchange(device, lives)
        self.cast_doubt(device)

    # -- what the coordinator writes ---------------------------------------------------------------------------

    def wrote(self, number: int, entry: entries.AnyEntry, body: bytes) -> None:
        """An entry went into the journal."""
        token_P = None
        if isinstance(entry, entries.Admitted | entries.Rejected):
            who = self.book.sums.identity(entry)
            demand(who not in self.book.sums.settled, f"delta {who} was settled twice")
            token_P = self.deltas.sealed.get(entry.sha256)
            demand(entry.sha256 in self.lives.sent.get(who, ()), f"delta {who} was settled, but never sent")
            if isinstance(entry, entries.Admitted):
                token_P = self.deltas.tokens(body)
                same = entry.sha256 == hashlib.sha256(body).digest()
                demand(same, f"delta {who} was accepted with other bytes")
        elif isinstance(entry, entries.Committed):
            demand(entry.version > self.book.told.version, f"version {entry.version} is made a second time")
        self.book.write(Written(number, entry, token_P))

    def decided(self, state: RunState, number: int) -> None:
        """The process that wrote up to this entry is in this state."""
        self.book.digests[number] = fingerprint.of_state(state)
        self._knows_of(state)

    def _knows_of(self, state: RunState) -> None:
        model = state.model
        self.book.models[model.version] = fingerprint.of_version(model.version, model.weights_P)

    def recovered(self, state: RunState, last: int) -> None:
        """Another process took over, with entries up to `last`; what nobody was told of may be undone."""
        book, before = self.book, {device: self.gone(device) for device in self._doubted}
        lost = book.undo(last)
        for device, gone_P in before.items():
            # It was doubted while the coordinator was down, when all that had been written counted as gone.
            self.accounts[device].void_P |= gone_P & ~self.gone(device)
        for written in lost:
            book.told.lose(written.entry, book.sums.about(written.entry))
        if last in book.digests:
            same = book.digests[last] == fingerprint.of_state(state)
            demand(same, f"replay up to entry {last} is not what was there")
        self.told(state)
        self.model(state)

    def undo(self, last: int) -> None:
        """What was written after this entry is not there."""
        self.book.undo(last)

    def performed(self, version: int, payload: bytes) -> None:
        """A version was published."""
        self.book.told.publish(version, payload)
        self._known_here.add(self.book.models[version])

    def told(self, state: RunState) -> None:
        """A process begins with this state, and may tell of it and of all versions before it."""
        # Later ones were undone.
        models = self.book.models.items()
        self.book.models = {version: known for version, known in models if version < state.model.version}
        self._knows_of(state)
        self._known_here.update(self.book.models.values())

    @property
    def _known_here(self) -> set[bytes]:
        return self._versions.setdefault(self.book.sums.generation, set())

    def model(self, state: RunState) -> None:
        """Hold the model against the sum of what was accepted."""
        there_P = state.model.weights_P.astype(np.float64) + state.model.residual_P
        same = np.array_equal(self.book.sums.wanted_P, there_P)
        demand(same, "the model is not the sum of the deltas it includes")
        demand(state.identity.lineage == self._lineage, "the training is of another lineage")

    @property
    def _lineage(self) -> bytes:
        return self.lives.lineages[self.book.sums.generation]

    # -- what is said ------------------------------------------------------------------------------------------

    def heard(self, device: str, life: int, word: FromDevice | FromCoordinator) -> None:
        """A word arrived at a device that is in this life."""
        match word:
            case Outcome():
                self._outcome((device, life, word.seq), word)
            case Welcome():
                demand(word.lineage == self._lineage, f"{device} is welcomed to a lineage that is no more")
                self.book.told.welcome(device, word)
                for outcome in word.outcomes:
                    self._outcome((device, self.lives.life(word.lineage, word.epoch), outcome.seq), outcome)
            case CommitChunk() | SnapshotChunk():
                self.book.told.show(word.version)
            case _:
                pass

    def _outcome(self, who: Identity, outcome: Outcome) -> None:
        self.book.told.settle(who, outcome, self.book.sums.settled.get(who))

    # -- what a device holds -----------------------------------------------------------------------------------

    def settled(self, who: Identity, sha256: bytes | None = None) -> bool:
        """Whether a delta is in the model, or dropped: no device counts it any more."""
        entry = self.book.sums.settled.get(who)
        if entry is None or entry.sha256 != (sha256 or entry.sha256):
            return False
        return isinstance(entry, entries.Admitted) or (isinstance(entry, entries.Rejected) and not entry.refund)

    def gone(self, device: str) -> Count:
        """Tokens of a device that are in the model, or dropped for good."""
        return self.book.sums.gone(device)

    def accounted(self, device: str) -> bool:
        """Whether all of a device's tokens are in the model, or known to be lost."""
        return self.accounts[device].complete(self.gone(device))

    def device(
        self, device: str, life: int, replica: Replica, held: dict[int, bytes], accepted: set[int], *, synced: bool
    ) -> None:
        """Hold a device's books against what is there: its replica, and deltas (by SHA-256) in its outbox.

        `accepted` are those of which the device knows that they are; `synced` unless it waits for a snapshot.
        """
        flying_P = self._flying(device, life, replica, held)
        for seq in accepted:
            known = isinstance(self.book.sums.settled.get((device, life, seq)), entries.Admitted)
            demand(known, f"{device} goes on with delta {seq} as accepted, and no journal has it")
        own_P = unsealed(replica)
        self.accounts[device].audit(self.gone(device), flying_P, own_P)
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
                flying_P += self.deltas.sealed[held[seq]] if seq in held else self.deltas.pending(replica, seq)
        return flying_P

    def _versioned(self, device: str, life: int, replica: Replica) -> None:
        base = fingerprint.of_version(replica.version, replica.base_P)
        known = self._versions.get(life // EPOCHS, set())
        demand(base in known, f"{device} trains on a version {replica.version} that never was")

    def _own_work_once(self, device: str, replica: Replica, own_P: Count) -> None:
        # What is in its version, or waits at the coordinator for the next to carry it.
        work_P = self.book.sums.included.get(replica.version, {}).get(device, np.zeros_like(own_P)) + own_P
        for seq in replica.pending:
            work_P += self.deltas.pending(replica, seq)
        demand(not doubled(work_P), f"{device} trains on own work twice at version {replica.version}")
