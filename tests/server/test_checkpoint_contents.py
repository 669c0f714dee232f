"""A checkpoint whose digest is right and whose contents cannot be."""

import hashlib
import random

import pytest
from journal_story import Run

from thinwire.common.errors import DamagedError
from thinwire.common.values import RejectReason
from thinwire.server import checkpoint
from thinwire.server.outcomes import Outcomes, RejectedRow
from thinwire.sim.disk import SimFolder


def test_bytes_after_the_last_vector_are_no_checkpoint() -> None:
    folder = SimFolder("coordinator", random.Random(0))
    run = Run(folder)
    run.join("oak", "elm")
    checkpoint.write(folder, 99, *run.state.freeze())
    body = folder.read(checkpoint.name_of(99))[:-16]
    for rubbish in (b"", b"junk"):
        sealed = body + rubbish + hashlib.blake2b(body + rubbish, digest_size=16).digest()
        folder.replace(checkpoint.name_of(98), [sealed])
        if not rubbish:
            assert checkpoint.read(folder, 98).ledger.dump() == run.state.ledger.dump()
            continue
        with pytest.raises(DamagedError, match="4 bytes come after the last vector"):
            checkpoint.read(folder, 98)


@pytest.mark.parametrize(
    ("through", "hashes", "rejected", "words"),
    [
        pytest.param(2, 3, [], "the first would be 0", id="more hashes than there were deltas"),
        pytest.param(9, 3, [6], "of 7 to 9", id="rejected before the window"),
        pytest.param(9, 3, [7, 10], "of 7 to 9", id="rejected, and not come yet"),
        pytest.param(9, 0, [9], "of 10 to 9", id="rejected, of nothing"),
        pytest.param(9, 3, [7, 9], "", id="as it should be"),
    ],
)
def test_outcomes_that_cannot_be_are_refused(through: int, hashes: int, rejected: list[int], words: str) -> None:
    rows: list[RejectedRow] = [(seq, int(RejectReason.TOO_STALE), True, "late") for seq in rejected]
    outcomes = Outcomes(most=256)
    if words:
        with pytest.raises(ValueError, match=words):
            outcomes.load(through, bytes(32 * hashes), rows)
        assert len(outcomes) == 0
    else:
        outcomes.load(through, bytes(32 * hashes), rows)
        assert outcomes.dump() == (bytes(32 * hashes), rows)
