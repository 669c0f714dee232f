"""A checkpoint of a hundred thousand devices: what it weighs to the byte, and that no part of it is large."""

import hashlib
import struct
from pathlib import Path

import msgspec
import pytest
from journal_story import fresh_state

from thinwire.common.disk import OsFolder
from thinwire.common.errors import DamagedError
from thinwire.common.values import Outcome, RejectReason, Verdict
from thinwire.server import checkpoint, pages
from thinwire.server.core import MOST_WORDS
from thinwire.server.ledger import KEPT_OUTCOMES, Ledger
from thinwire.server.state import Frozen

DEVICES = 100_000
# Of a row in its page: the tag and two arrays, a name of 12 letters, and numbers as MessagePack has them.
MEMBER_BYTES = 3 + 1 + 13 + 3 * 1
ACCOUNT_BYTES = 3 + 1 + 13 + 3 * 1 + (2 + 2 * 32) + 1


def fleet() -> Frozen:
    frozen, _ = fresh_state().freeze()
    names = [f"device-{number:05d}" for number in range(DEVICES)]
    sha256s = hashlib.sha256(b"one").digest() + hashlib.sha256(b"two").digest()
    return msgspec.structs.replace(
        frozen, members=[(name, 9, 2, 0) for name in names], ledger=[(name, 1, 2, 2, sha256s, []) for name in names]
    )


def test_a_hundred_thousand_devices_are_written_and_read_again_byte_for_byte(tmp_path: Path) -> None:
    frozen, (_, vectors) = fleet(), fresh_state().freeze()
    folder = OsFolder(tmp_path, lock=False)
    checkpoint.write(folder, 7, frozen, vectors)

    parts = list(pages.written(frozen.members, frozen.ledger))
    rows = DEVICES * (MEMBER_BYTES + ACCOUNT_BYTES)
    lengths = [struct.unpack_from("<I", part)[0] for part in parts]
    assert max(lengths) <= pages.PAGE_BYTES + MEMBER_BYTES + ACCOUNT_BYTES
    assert sum(lengths) == rows + 3 * len(lengths[:-1]), "an array of up to 65,535 rows begins with three bytes"
    head = len(msgspec.msgpack.encode(msgspec.structs.replace(frozen, members=[], ledger=[])))
    numbers = sum(4 * size for _, size in frozen.vectors)
    expected = len(checkpoint.MAGIC) + 4 + head + sum(len(part) for part in parts) + numbers + 16
    assert folder.size(checkpoint.name_of(7)) == expected
    assert head < 2000, "what grows with the fleet is in the pages"

    again, _ = checkpoint.read(folder, 7).freeze()
    assert again == frozen


def test_what_a_device_weighs_at_most_leaves_a_page_far_below_its_bound() -> None:
    ledger = Ledger()
    ledger.begin("a" * 63, 1 << 62)
    for seq in range(1, 2 * KEPT_OUTCOMES + 1):
        outcome = Outcome(seq, Verdict.REJECTED, RejectReason.BAD_VALUES, message="x" * MOST_WORDS)
        ledger.settle("a" * 63, bytes(32), outcome)
    largest = sum(len(part) for part in pages.written([], ledger.dump()))
    assert KEPT_OUTCOMES * (32 + MOST_WORDS) < largest < 300_000 < pages.MAX_PAGE_BYTES - pages.PAGE_BYTES
    accepted = Ledger()
    accepted.begin("device-00001", 1)
    for seq in range(1, KEPT_OUTCOMES + 1):
        accepted.settle("device-00001", bytes(32), Outcome(seq, Verdict.ACCEPTED))
    # So 100,000 devices with a full memory are 822 MB in pages, where the state itself has room for 1 GiB.
    [page, _end] = pages.written([], accepted.dump())
    assert len(page) - 4 == 1 + 3 + 1 + 13 + 1 + 3 + 1 + (3 + 32 * KEPT_OUTCOMES) + 1


@pytest.mark.parametrize("length", [0xFFFFFFFF, pages.MAX_PAGE_BYTES + 1, 100])
def test_a_page_that_claims_more_than_there_is_or_may_be_is_refused_before_it_is_read(length: int) -> None:
    with pytest.raises(ValueError, match=f"{length} bytes are announced"):
        pages.read(memoryview(struct.pack("<I", length) + bytes(50)), 0)


def test_a_checkpoint_larger_than_a_piece_is_verified_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen, vectors = fresh_state().freeze()
    folder = OsFolder(tmp_path, lock=False)
    for piece_bytes in (8, 16, 17, 64):
        monkeypatch.setattr(checkpoint, "PIECE_BYTES", piece_bytes)
        checkpoint.write(folder, 1, frozen, vectors)
    path = tmp_path / checkpoint.name_of(1)
    damaged = bytearray(path.read_bytes())
    for at in (0, 20, len(damaged) - 1):
        damaged[at] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(DamagedError, match=r"checkpoint-0000000000000001\.tw is"):
            checkpoint._verify(folder, checkpoint.name_of(1))
        damaged[at] ^= 1
