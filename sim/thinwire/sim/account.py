"""Where one device's tokens are: in the model, on the device, known to be lost, or nobody can say."""

from __future__ import annotations

import numpy as np

from thinwire.sim.tokens import Count, Purse, doubled
from thinwire.sim.violation import ViolationError, demand


class Account:
    """What is known of one device; of tokens in the model, or dropped for good (`gone`), the book knows."""

    def __init__(self, device: str, purse: Purse) -> None:
        self.device, self.purse = device, purse
        self.forgotten_P: Count = np.zeros_like(purse.born_P)
        # Tokens of which nobody can say whether the device still has them, for a disk was set back.
        self.void_P: Count = np.zeros_like(purse.born_P)

    def forget(self, token_P: Count) -> None:
        """These tokens went down with a process, as they may."""
        self.forgotten_P += token_P

    def cast_doubt(self, gone_P: Count) -> None:
        """What the device held may be gone, and lost things be back."""
        self.void_P = self.purse.born_P & ~gone_P
        self.forgotten_P = np.zeros_like(gone_P)

    def settle_doubt(self, gone_P: Count) -> None:
        """What nobody could say is forgotten for sure, but for what is in the model."""
        self.forgotten_P = self.forgotten_P | (self.void_P & ~gone_P)
        self.void_P = np.zeros_like(gone_P)

    def turn(self, before_P: Count, after_P: Count) -> None:
        """What is gone is another sum now: the coordinator's disk was set back, or taken back."""
        self.void_P |= before_P & ~after_P
        fresh_P = after_P & ~before_P
        self.void_P &= ~fresh_P
        self.forgotten_P &= ~fresh_P

    def claim(self, token_P: Count) -> None:
        """The device has these tokens after all; raise ViolationError when it must not."""
        demand(
            not doubled(token_P) and not (token_P & ~self.void_P).any(),
            f"{self.device}: what an older disk gives back is in the model, or somewhere else",
        )
        self.void_P &= ~token_P

    def complete(self, gone_P: Count) -> bool:
        """Whether all tokens are in the model, or known to be lost."""
        return not (self.purse.born_P & ~(gone_P + self.forgotten_P) & ~self.void_P).any()

    def audit(self, gone_P: Count, flying_P: Count, own_P: Count) -> None:
        """Hold all that was born against what there is of it: sealed and flying, or the device's own still."""
        born_P, there_P = self.purse.born_P, gone_P + self.forgotten_P + flying_P + own_P
        missing_P = born_P - there_P
        if (missing_P < 0).any() or (missing_P & ~self.void_P).any():
            odd = int(np.flatnonzero((missing_P < 0) | (missing_P & ~self.void_P != 0))[0])
            raise ViolationError(
                f"{self.device}: coordinate {odd} has tokens {base4(born_P[odd])}, but there are "
                f"{base4(there_P[odd])}: {base4(gone_P[odd])} gone, {base4(self.forgotten_P[odd])} "
                f"forgotten, {base4(flying_P[odd])} sealed, {base4(own_P[odd])} unsent"
            )
        demand(not doubled(there_P), f"{self.device}: a token is there twice")
        demand(not doubled(self.forgotten_P), f"{self.device}: a token that was lost is there")


def base4(count: int) -> str:
    """A number of tokens as its digits."""
    digits = ""
    while count > 0:
        digits, count = str(count % 4) + digits, count // 4
    return digits or "0"
