"""The outcomes of one device's newest deltas, small enough for a hundred thousand devices.

Numbers follow each other without gaps, and nearly all outcomes are "accepted", so what is kept is 32 bytes a delta, and
a word for each that was rejected.
"""

from __future__ import annotations

from thinwire.common.values import Outcome, RejectReason, Verdict

SHA_BYTES = 32
RejectedRow = tuple[int, int, bool, str]  # seq, reason, refund, message


class Outcomes:
    """SHA-256 and outcome by number, for at most the `most` newest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._first = 1  # number of the oldest
        self._sha256s = bytearray()
        self._rejected: dict[int, Outcome] = {}

    def __len__(self) -> int:
        return len(self._sha256s) // SHA_BYTES

    def __contains__(self, seq: int) -> bool:
        return self._first <= seq < self._first + len(self)

    def __getitem__(self, seq: int) -> tuple[bytes, Outcome]:
        if seq not in self:
            raise KeyError(seq)
        at = (seq - self._first) * SHA_BYTES
        return bytes(self._sha256s[at : at + SHA_BYTES]), self._rejected.get(seq) or Outcome(seq, Verdict.ACCEPTED)

    def add(self, sha256: bytes, outcome: Outcome) -> None:
        """Add the outcome of the newest delta; what does not lead up to it is forgotten."""
        if len(sha256) != SHA_BYTES:
            raise ValueError(f"a SHA-256 of {len(sha256)} bytes")
        if outcome.seq != self._first + len(self):
            self.clear()
            self._first = outcome.seq
        self._sha256s += sha256
        if outcome.verdict is Verdict.REJECTED:
            self._rejected[outcome.seq] = outcome
        if len(self) > self._most:
            del self._sha256s[:SHA_BYTES]
            self._rejected.pop(self._first, None)
            self._first += 1

    def clear(self) -> None:
        """Forget all of them."""
        self._sha256s.clear()
        self._rejected.clear()

    def dump(self) -> tuple[bytes, list[RejectedRow]]:
        """The hashes in order, and the deltas of them that were rejected."""
        rejected = [(seq, int(o.reason), o.refund, o.message) for seq, o in self._rejected.items()]
        return bytes(self._sha256s), rejected

    def load(self, through: int, sha256s: bytes, rejected: list[RejectedRow]) -> None:
        """Go on from a dump whose last delta has the number `through`; raise ValueError when it cannot be one."""
        if len(sha256s) % SHA_BYTES:
            raise ValueError(f"hashes of {len(sha256s)} bytes")
        first = through + 1 - len(sha256s) // SHA_BYTES
        if first < 1:
            raise ValueError(f"{len(sha256s) // SHA_BYTES} hashes up to delta {through}: the first would be {first}")
        for seq, *_ in rejected:
            if not first <= seq <= through:
                raise ValueError(f"delta {seq} was rejected, but hashes are of {first} to {through}")
        self._sha256s, self._first = bytearray(sha256s), first
        self._rejected = {
            seq: Outcome(seq, Verdict.REJECTED, RejectReason(reason), refund, message)
            for seq, reason, refund, message in rejected
        }
