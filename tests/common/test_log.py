"""A log gives back exactly what was synced, or says which record is damaged; never something else."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from thinwire.common.disk import OsFile, OsFolder
from thinwire.common.errors import DamagedError, DiskError, DiskFullError
from thinwire.common.log import Log
from thinwire.common.record import MAX_HEADER_BYTES
from thinwire.sim.disk import Crash, SimFolder

SEGMENT_BYTES = 400
Content = tuple[bytes, bytes]


def content(number: int) -> Content:
    dice = random.Random(number)
    return b'{"number": %d}' % number, dice.randbytes((0, 3, 60, 250, 700)[number % 5])


def written(count: int, *, marked: bool = True) -> SimFolder:
    """A folder with a synced log of `count` records in several segments, with or without its watermark."""
    folder = SimFolder("test", random.Random(0))
    log = Log(folder, "journal", SEGMENT_BYTES)
    for number in range(1, count + 1):
        assert log.append(*content(number)) == number
    log.sync()
    if not marked:
        folder.remove("journal.synced")
    return folder


def everything(log: Log) -> list[Content]:
    return [(record.header, record.body) for record in log.read(log.first)]


def upto(count: int) -> list[Content]:
    return [content(number) for number in range(1, count + 1)]


def reopened(folder: SimFolder) -> Log:
    folder.crash(power=False)
    return Log(folder, "journal", SEGMENT_BYTES)


def test_what_was_written_is_read_again_across_segments() -> None:
    log = reopened(written(20))
    assert len(log.segments) > 5
    assert everything(log) == upto(20)
    assert [record.number for record in log.read(7)] == list(range(7, 21))
    assert log.append(*content(21)) == 21


def test_dropped_segments_are_gone_and_the_rest_stays() -> None:
    folder = written(20)
    log = reopened(folder)
    log.drop_before(11)
    assert log.first <= 11
    again = reopened(folder)
    assert everything(again) == upto(20)[again.first - 1 :]
    with pytest.raises(DamagedError, match="begins at"):
        list(again.read(again.first - 1))


@pytest.mark.parametrize("marked", [True, False], ids=["with its watermark", "without its watermark"])
def test_torn_at_every_byte_it_ends_before_the_torn_record_or_says_what_is_lost(marked: bool) -> None:
    folder = written(6, marked=marked)
    last = [name for name in folder.names() if name.endswith(".log")][-1]
    whole = folder.backup()
    for length in range(folder.size(last)):
        folder.restore({**whole, last: whole[last][:length]})
        if marked:
            with pytest.raises(DamagedError, match="restore this folder from a backup"):
                Log(folder, "journal", SEGMENT_BYTES)
            continue
        log = Log(folder, "journal", SEGMENT_BYTES)
        count = log.next - 1
        assert count < 6
        assert everything(log) == upto(count)
        # What comes next takes the place of what was cut off, for good.
        log.append(*content(log.next))
        log.sync()
        assert everything(reopened(folder)) == upto(count + 1)


def fill(log: Log) -> None:
    while True:
        log.append(*content(log.next))


def flipped() -> Iterator[tuple[str, SimFolder]]:
    folder = written(6)
    whole = folder.backup()
    for name, data in whole.items():
        for byte in range(len(data)):
            folder.restore(whole)
            folder.flip(name, 8 * byte + byte % 8)
            yield name, folder


def test_a_bit_flipped_at_every_byte_is_found_or_does_no_harm() -> None:
    found = 0
    for name, folder in flipped():
        try:
            log = Log(folder, "journal", SEGMENT_BYTES)
            assert everything(log) == upto(6)
        except DamagedError:
            found += 1
        else:
            assert name == "journal.synced", "nothing that is read is without a checksum"
    assert found > 1000


def test_without_a_watermark_damage_that_something_readable_follows_is_no_torn_end() -> None:
    folder = written(6, marked=False)
    whole = folder.backup()
    for name, data in whole.items():
        for byte in range(len(data)):
            folder.restore({**whole})
            folder.flip(name, 8 * byte)
            try:
                read = everything(Log(folder, "journal", SEGMENT_BYTES))
            except DamagedError:
                continue
            assert read == upto(5), f"byte {byte} of {name}: only the last record can be taken for a torn one"


@pytest.mark.parametrize("seed", range(30))
def test_a_power_cut_at_any_point_leaves_all_that_was_synced_and_a_beginning_of_the_rest(seed: int) -> None:
    dice = random.Random(f"log {seed}")
    crashes = 0

    def reach(point: str) -> None:
        if dice.random() < 0.02:
            raise Crash(point)

    folder = SimFolder("test", dice, reach)
    segment_bytes = dice.choice((SEGMENT_BYTES, 4000))
    synced = appended = 0
    while crashes < 30:
        try:
            log = Log(folder, "journal", segment_bytes)
            assert synced <= log.next - 1 <= appended
            assert everything(log) == upto(log.next - 1)
            synced = appended = log.next - 1
            while True:
                appended = log.next  # the record may be there even if its append was cut off
                log.append(*content(log.next))
                if dice.random() < 0.4:
                    synced = log.sync()
        except Crash:
            crashes += 1
            folder.crash(power=dice.random() < 0.7)


def test_of_two_writes_that_were_not_synced_a_power_cut_may_keep_only_the_later() -> None:
    """Its sectors were written and those before it were not: no damage, for neither was promised."""
    folder = SimFolder("test", random.Random(0))
    log = Log(folder, "journal", 1 << 20)
    log.append(*content(1))
    log.sync()
    start = folder.size("journal-0000000000000001.log")
    log.append(b"{}", bytes(range(256)) * 5)
    log.append(*content(3))
    whole = folder.backup()
    data = whole["journal-0000000000000001.log"]
    folder.restore({**whole, "journal-0000000000000001.log": data[:start] + bytes(1024 - start) + data[1024:]})
    assert everything(Log(folder, "journal", 1 << 20)) == upto(1)


def test_a_log_that_is_gone_is_not_begun_again() -> None:
    folder = written(6)
    folder.restore({"journal.synced": folder.backup()["journal.synced"]})
    with pytest.raises(DamagedError, match="6 records were synced"):
        Log(folder, "journal", SEGMENT_BYTES)


@pytest.mark.parametrize("seed", range(15))
def test_power_cuts_while_old_segments_are_dropped(seed: int) -> None:
    """A file that was removed may come back; what is kept still follows without a gap."""
    dice = random.Random(f"dropping {seed}")

    def reach(point: str) -> None:
        if dice.random() < 0.02:
            raise Crash(point)

    folder, keep_from, crashes = SimFolder("test", dice, reach), 1, 0
    while crashes < 30:
        try:
            log = Log(folder, "journal", SEGMENT_BYTES)
            assert log.first <= keep_from
            read = [(record.header, record.body) for record in log.read(keep_from)]
            assert read == upto(log.next - 1)[keep_from - 1 :]
            while True:
                log.append(*content(log.next))
                if dice.random() < 0.4 and log.sync() > keep_from:
                    keep_from = dice.randrange(keep_from, log.next)
                    log.drop_before(keep_from)
        except Crash:
            crashes += 1
            folder.crash(power=dice.random() < 0.7)


def test_a_full_disk_leaves_the_log_as_it_was() -> None:
    folder = written(6)
    log = reopened(folder)
    folder.full = True
    for _ in range(3):
        with pytest.raises(DiskFullError):
            log.append(b"{}", bytes(500))
    folder.full = False
    assert log.append(*content(7)) == 7
    log.sync()
    assert everything(reopened(folder)) == upto(7)


def test_a_disk_that_is_full_at_any_moment_leaves_the_log_as_it_was() -> None:
    """Also where a segment begins: its file may be there with nothing in it."""
    for room in range(0, 3000, 13):
        folder = SimFolder("test", random.Random(room))
        log = Log(folder, "journal", SEGMENT_BYTES)
        folder.room = room
        with pytest.raises(DiskFullError):
            fill(log)
        folder.room = None
        refused = log.next
        assert log.append(*content(refused)) == refused
        log.append(*content(refused + 1))
        log.sync()
        assert everything(log) == upto(refused + 1)
        assert everything(reopened(folder)) == upto(refused + 1)


def test_to_begin_a_segment_on_a_full_disk_again_and_again_costs_no_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(OsFolder(tmp_path), "journal", SEGMENT_BYTES)
    log.append(b"{}", bytes(SEGMENT_BYTES))

    def full(*_: object) -> None:
        raise DiskFullError("no space left on device")

    monkeypatch.setattr(OsFile, "append", full)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(DiskFullError):
            log.append(b"{}")
    assert len(list(Path("/proc/self/fd").iterdir())) < before


def test_a_closed_log_begins_no_segment_beside_its_successor() -> None:
    folder = written(6)
    log = reopened(folder)
    log.close()
    with pytest.raises(DiskError, match="closed"):
        log.append(*content(7))
    assert everything(reopened(folder)) == upto(6)


def test_what_could_not_be_read_again_is_not_written() -> None:
    log = reopened(written(6))
    with pytest.raises(DiskError, match="larger"):
        log.append(bytes(MAX_HEADER_BYTES + 1))
    assert log.append(*content(7)) == 7


def test_after_an_error_of_the_disk_nothing_is_said_to_be_safe() -> None:
    folder = written(6)
    log = reopened(folder)
    log.append(*content(7))
    folder.fail()
    with pytest.raises(DiskError):
        log.sync()
    assert log.synced == 6


def test_a_read_only_disk_is_told_of_when_something_is_written() -> None:
    folder = written(6)
    log = reopened(folder)
    folder.read_only = True
    assert everything(log) == upto(6)
    with pytest.raises(DiskError, match="read-only"):
        log.append(*content(7))
