"""`thinwire journal verify`: what is sound is called sound, while it is written too, and what is not is found."""

import shutil
from pathlib import Path

import msgspec
import pytest
from journal_story import Run, again, real_run

from thinwire.common.disk import OsFolder
from thinwire.common.log import Log
from thinwire.common.view import View
from thinwire.server import checkpoint, entries
from thinwire.server.audit import Findings, verify
from thinwire.server.events import Greeted


def found_in(path: Path) -> Findings:
    with View(path) as view:
        return verify(view)


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Run, Path]:
    """Seven deltas of two devices and one more that is rejected, three checkpoints, several files."""
    run, path = real_run(tmp_path / "state", checkpoint_bytes=400, segment_bytes=600)
    run.join("oak", "elm")
    run.train(7, "oak", "elm")
    run.delta("elm", 9, base=99)
    return run, path


def test_a_sound_run_is_called_sound_with_its_totals_while_it_is_open(trained: tuple[Run, Path]) -> None:
    run, path = trained
    before = contents(path)
    found = found_in(path)
    assert found.problems == []
    assert (found.accepted, found.rejected, found.commits, found.version, found.in_buffer) == (7, 1, 3, 3, 1)
    assert (found.first, found.last, found.devices, found.lineage) == (1, run.journal.last, 2, bytes(range(16)).hex())
    assert found.checkpoints == len(checkpoint.numbers_in(OsFolder(path, lock=False))) > 2
    assert found.segments > 2
    assert contents(path) == before, "it only reads"


def test_a_record_that_is_being_written_is_no_damage_and_is_not_cut_off(trained: tuple[Run, Path]) -> None:
    run, path = trained
    sound = found_in(path)
    run.recorder.handle(Greeted("ash", 0), 0.0)
    newest = sorted(path.glob("journal-*.log"))[-1]
    newest.write_bytes(newest.read_bytes()[:-3])
    found = found_in(path)
    assert found.problems == []
    assert found.last == sound.last
    assert found.unfinished_bytes > 0
    assert newest.stat().st_size > found.unfinished_bytes


def test_a_run_whose_beginning_was_given_up_is_sound(tmp_path: Path) -> None:
    run, path = real_run(tmp_path / "state", checkpoint_bytes=300, segment_bytes=500, keep_bytes=2500)
    run.join("oak", "elm")
    run.train(60, "oak", "elm")
    found = found_in(path)
    assert found.problems == []
    assert found.first > 1
    assert found.version == 30


def test_every_damaged_byte_is_found_and_named(trained: tuple[Run, Path], tmp_path: Path) -> None:
    _, path = trained
    for file in sorted(path.iterdir()):
        whole = file.read_bytes()
        for byte in range(0, len(whole), 19):
            file.write_bytes(whole[:byte] + bytes([whole[byte] ^ 4]) + whole[byte + 1 :])
            problems = found_in(path).problems
            if file.name == "journal.synced":
                assert problems == [], "the watermark is only the younger for it"
            else:
                assert any(file.name in problem for problem in problems), f"byte {byte} of {file.name}: {problems}"
        file.write_bytes(whole)


def admitted(seq: int) -> entries.Admitted:
    return entries.Admitted(
        device="oak", epoch=1, seq=seq, sha256=bytes(32), base=3, weight=0.5, share=0.5, buffer_bytes=0
    )


def committed(version: int, folded: int) -> entries.Committed:
    return entries.Committed(version=version, checksum=0, folded=folded, kept=1)


FORGED = {
    "a second outcome": (admitted(seq=4), "two outcomes"),
    "a gap": (admitted(seq=6), "one before it has none"),
    "bytes that were not sealed": (admitted(seq=5), "not those that the device sealed"),
    "an epoch that is over": (entries.Greeted(device="oak", epoch=1), "epoch 1 of oak after 1"),
    "a leader that comes back": (entries.Led(leader_epoch=1), "leader epoch 1 after 1"),
    "a version left out": (committed(version=5, folded=1), "version 5 after 3"),
    "a commit of what is not there": (committed(version=4, folded=2), "takes 2 deltas, but 1"),
}


@pytest.mark.parametrize("forgery", FORGED)
def test_entries_that_do_not_add_up_are_found_though_every_checksum_is_right(
    trained: tuple[Run, Path], forgery: str
) -> None:
    run, path = trained
    run.stop()
    entry, words = FORGED[forgery]
    log = Log(OsFolder(path, lock=False), "journal")
    number = log.append(entries.encode(entry), b"other bytes")
    log.sync()
    found = found_in(path)
    assert len(found.problems) == 1
    assert words in found.problems[0]
    assert f"record {number} at byte" in found.problems[0]


def test_a_checkpoint_that_tells_another_story_is_found(trained: tuple[Run, Path]) -> None:
    _run, path = trained
    folder = OsFolder(path, lock=False)
    first, *_, last = checkpoint.numbers_in(folder)
    (path / checkpoint.name_of(last)).write_bytes((path / checkpoint.name_of(first)).read_bytes())
    assert any("it is of version 0" in problem for problem in found_in(path).problems)


def test_an_entry_that_a_later_version_wrote_is_named(trained: tuple[Run, Path]) -> None:
    run, path = trained
    run.stop()
    log = Log(OsFolder(path, lock=False), "journal")
    log.append(msgspec.msgpack.encode({"type": "Foretold"}))
    log.sync()
    assert any("use the version that wrote it" in problem for problem in found_in(path).problems)


def test_files_that_are_removed_meanwhile_can_still_be_read(trained: tuple[Run, Path]) -> None:
    _, path = trained
    with View(path) as view:
        shutil.rmtree(path)
        assert verify(view).problems == []


def test_a_restart_is_no_trouble(trained: tuple[Run, Path]) -> None:
    run, path = trained
    run.stop()
    later = again(path, checkpoint_bytes=400, segment_bytes=600)
    later.train(3, "oak", "elm", seed=20)
    assert found_in(path).problems == []


def test_a_backup_made_name_by_name_while_entries_come_is_sound(trained: tuple[Run, Path], tmp_path: Path) -> None:
    """As docs/durability.md has it: without the watermark, which may be newer than the end of the copy."""
    run, path = trained
    copy = tmp_path / "backup" / path.name
    copy.mkdir(parents=True)
    for number, name in enumerate(sorted(file.name for file in path.iterdir() if file.suffix != ".synced")):
        shutil.copy(path / name, copy / name)
        run.train(3, "oak", "elm", seed=100 + 3 * number)
    assert found_in(copy).problems == []
    assert again(copy).core.model.version >= 3
