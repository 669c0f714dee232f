"""Tokens that went down with a trainer or an agent, and are nowhere now but on the device's disk."""

from __future__ import annotations

from thinwire.sim.deltas import unsealed
from thinwire.sim.tokens import Count
from thinwire.sim.witness import Witness
from thinwire.trainer.replica import Replica


class Limbo:
    """Those of one device. What a new trainer is not given back of them is forgotten."""

    def __init__(self, device: str, witness: Witness) -> None:
        self._device, self._witness = device, witness
        self._deltas, self._account = witness.deltas, witness.accounts[device]
        # Deltas that the agent has just given up, without having written that down.
        self._letting_go: dict[int, bytes] = {}
        self.empty()

    def empty(self) -> None:
        """Nothing that went down counts any more."""
        self._token_P = self._deltas.nothing()
        self._given_P = self._deltas.nothing()  # what the trainer was to be given back

    def add(self, token_P: Count) -> None:
        """These went down."""
        self._token_P = self._token_P + token_P

    def forget(self) -> None:
        """Whatever is here is lost, as it may be."""
        self._account.forget(self._token_P)
        self._token_P = self._deltas.nothing()

    # -- who goes down -----------------------------------------------------------------------------------------

    def take_trainer(self, replica: Replica, life: int, held: dict[int, bytes], seals: dict[int, bytes]) -> None:
        """A trainer goes down with this replica; the agent holds these deltas, and `seals` are all there were."""
        self.add(unsealed(replica))
        for seq in replica.pending.keys() - held.keys():
            self._letting_go.pop(seq, None)
            if not self._settled(life, seq, seals.get(seq)):
                self.add(self._deltas.pending(replica, seq))

    def take_agent(self, life: int) -> None:
        """The agent goes down, and knows no more what it has just given up."""
        self.settle(self._letting_go, {}, life)
        self._letting_go = {}

    # -- what the agent gives up -------------------------------------------------------------------------------

    def let_go(self, life: int, before: dict[int, bytes], after: dict[int, bytes]) -> None:
        """The agent has taken in a word; before, it held other deltas than after."""
        self._letting_go = {
            seq: sha256 for seq, sha256 in before.items() if seq not in after and not self._settled(life, seq, sha256)
        }

    def written_down(self, seq: int) -> None:
        """That the agent has given this one up is in its log."""
        self._letting_go.pop(seq, None)

    def begin_anew(self) -> None:
        """The agent is in another life, in which it has given up nothing."""
        self._letting_go = {}

    # -- what is found again -----------------------------------------------------------------------------------

    def settle(self, down: dict[int, bytes], back: dict[int, bytes], life: int) -> None:
        """The agent went down with these deltas in its outbox, and came back with those."""
        for seq in down.keys() ^ back.keys():
            sha256 = down[seq] if seq in down else back[seq]
            if self._settled(life, seq, sha256):
                continue
            # A seal that was not safe is undone; so is an outcome, which will be heard of again.
            if seq in down:
                self.add(self._deltas.sealed[sha256])
            else:
                self._find(self._deltas.sealed[sha256])

    def give_back(self, due_P: Count) -> None:
        """A new trainer is given this back; the rest is forgotten."""
        self._find(due_P)
        self.forget()
        self._given_P = due_P

    def give_nothing_back(self) -> None:
        """The trainer could not read what it was to be given back."""
        self.add(self._given_P)

    def _find(self, token_P: Count) -> None:
        found_P = token_P & self._token_P
        self._token_P = self._token_P - found_P
        if (token_P != found_P).any():
            self._account.claim(token_P - found_P)

    def _settled(self, life: int, seq: int, sha256: bytes | None) -> bool:
        return self._witness.settled((self._device, life, seq), sha256)
