"""Books are read as they are, while somebody writes to them, and without touching them."""

from base64 import b64encode
from pathlib import Path

import msgspec
import pytest

from thinwire.chaos.books import Books
from thinwire.chaos.checker import ACCEPTED, REJECTED, Begun, Committed, Id, Led, Sealed, Settled
from thinwire.common.disk import OsFolder
from thinwire.common.errors import DamagedError
from thinwire.common.log import Log

SHA = bytes(range(32))
OAK_1, OAK_2 = Id("oak", 1, 1), Id("oak", 1, 2)


def journal(folder: Path) -> Log:
    log = Log(OsFolder(folder / "0001-5f2a9c01"), "journal")
    for entry in (
        {"type": "Led", "leader_epoch": 1},
        {"type": "Greeted", "device": "oak", "epoch": 1},
        {"type": "Admitted", "device": "oak", "epoch": 1, "seq": 1, "sha256": SHA, "base": 0, "weight": 1.0},
        {"type": "Committed", "version": 1, "checksum": 77, "folded": 1, "kept": 5},
        {"type": "Rejected", "device": "oak", "epoch": 1, "seq": 2, "sha256": SHA, "reason": 3},
    ):
        log.append(msgspec.msgpack.encode(entry), b"body")
    log.sync()
    return log


def store(folder: Path) -> None:
    log = Log(OsFolder(folder), "outbox")
    sha = b64encode(SHA).decode()
    for entry in (
        {"type": "Joined", "lineage": "", "epoch": 1, "leader_epoch": 1},
        {"type": "Sealed", "seq": 1, "version": 0, "sha256": sha},
        {"type": "Settled", "seq": 1, "accepted": True, "reason": "NONE"},
        {"type": "Sealed", "seq": 2, "version": 0, "sha256": sha},
        {"type": "Settled", "seq": 2, "accepted": False, "reason": "TOO_STALE"},
    ):
        log.append(msgspec.json.encode(entry))
    log.sync()


FACTS = [Led(1), Begun("oak", 1), Settled(OAK_1, SHA, ACCEPTED), Committed(1, 77, (OAK_1,), 1),
         Settled(OAK_2, SHA, REJECTED)]  # fmt: skip


def test_both_sides_are_read(tmp_path: Path) -> None:
    journal(tmp_path / "coordinator")
    store(tmp_path / "oak")
    stores, facts = Books(tmp_path / "coordinator", {"oak": tmp_path / "oak"}).read()
    assert facts == FACTS
    assert stores == [
        Sealed(OAK_1, SHA), Settled(OAK_1, b"", ACCEPTED), Sealed(OAK_2, SHA), Settled(OAK_2, b"", REJECTED),
    ]  # fmt: skip


def test_nothing_is_there_before_anything_was_written(tmp_path: Path) -> None:
    assert Books(tmp_path / "coordinator", {"oak": tmp_path / "oak"}).read() == ([], [])


def test_a_record_that_is_being_written_is_not_read_and_not_touched(tmp_path: Path) -> None:
    log = journal(tmp_path)
    [segment] = (tmp_path / "0001-5f2a9c01").glob("journal-*.log")
    whole = segment.stat().st_size
    log.append(msgspec.msgpack.encode({"type": "Led", "leader_epoch": 2}), bytes(100))
    log.close()
    written = segment.read_bytes()
    segment.write_bytes(written[: whole + 60])
    assert Books(tmp_path, {}).read() == ([], FACTS)
    assert segment.stat().st_size == whole + 60


def test_a_damaged_journal_is_told_of(tmp_path: Path) -> None:
    journal(tmp_path).close()
    [segment] = (tmp_path / "0001-5f2a9c01").glob("journal-*.log")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(DamagedError):
        Books(tmp_path, {}).read()


def test_a_store_without_its_beginning_says_further_on_which_epoch_it_was(tmp_path: Path) -> None:
    sha = b64encode(SHA).decode()
    log = Log(OsFolder(tmp_path / "oak"), "outbox")
    log.append(msgspec.json.encode({"type": "Sealed", "seq": 8, "version": 0, "sha256": sha}))
    log.append(msgspec.json.encode({"type": "Summary", "floor": 1, "lineage": "", "epoch": 3}))
    log.sync()
    assert Books(tmp_path, {"oak": tmp_path / "oak"}).read() == ([Sealed(Id("oak", 3, 8), SHA)], [])


def test_the_newest_run_is_read(tmp_path: Path) -> None:
    journal(tmp_path)
    Log(OsFolder(tmp_path / "0002-00000000"), "journal").close()
    assert Books(tmp_path, {}).read() == ([], [])


def test_a_journal_without_its_beginning_is_not_blamed_for_it(tmp_path: Path) -> None:
    log = Log(OsFolder(tmp_path / "0001-5f2a9c01"), "journal", segment_bytes=1)
    committed = {"type": "Committed", "version": 1, "checksum": 77, "folded": 3, "kept": 5}
    for entry in ({"type": "Led", "leader_epoch": 1}, committed, dict(committed, version=2, folded=1)):
        log.append(msgspec.msgpack.encode(entry))
    log.sync()
    log.drop_before(2)
    assert Books(tmp_path, {}).read() == ([], [Committed(1, 77, (), 0), Committed(2, 77, (), 1)])
