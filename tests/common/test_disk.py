"""The real disk and its simulated twin keep the same promises; the twin loses what was not promised."""

import errno
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from thinwire.common.disk import Folder, OsFolder
from thinwire.common.errors import DiskError, DiskFullError, SettingsError
from thinwire.sim.disk import Crash, SimFolder

Disk = Callable[[], Folder]


@pytest.fixture(params=["real", "simulated"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return OsFolder(tmp_path / "a" / "b") if request.param == "real" else SimFolder("test", random.Random(1))


def test_what_is_appended_is_read(folder: Folder) -> None:
    file = folder.open("log-1")
    file.append(b"abc")
    file.append(b"defg")
    file.sync()
    assert file.size == folder.size("log-1") == 7
    assert folder.read("log-1") == b"abcdefg"
    assert folder.read("log-1", 2, 3) == b"cde"
    assert folder.read("log-1", 5, 9) == b"fg"
    file.cut(4)
    file.append(b"X")
    assert folder.read("log-1") == b"abcdX"
    file.close()
    assert folder.open("log-1").size == 5


def test_names_come_sorted_and_go_when_removed(folder: Folder) -> None:
    folder.replace("b", [b"1", b"23"])
    folder.open("c").close()
    folder.jot("a", b"note")
    folder.replace("b", [b"4"])
    assert folder.names() == ["a", "b", "c"]
    assert folder.read("b") == b"4"
    folder.jot("a", b"NO")
    assert folder.read("a") == b"NOte"
    folder.remove("b")
    folder.remove("b")
    assert folder.names() == ["a", "c"]


def test_a_file_that_is_missing_is_an_error_of_the_disk(folder: Folder) -> None:
    with pytest.raises(DiskError, match="cannot read"):
        folder.read("none")
    with pytest.raises(DiskError, match="cannot read"):
        folder.size("none")


# -- the real one ----------------------------------------------------------------------------------------------------


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    OsFolder(tmp_path)
    with pytest.raises(SettingsError, match="another running process uses"):
        OsFolder(tmp_path)


def test_a_file_is_replaced_only_when_its_bytes_are_safe_and_then_its_name_is_made_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is safe before its bytes are would be an empty file after a power cut."""
    folder, done = OsFolder(tmp_path, lock=False), list[str]()
    sync, rename = os.fsync, Path.replace

    def synced(handle: int) -> None:
        done.append("sync the folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync the file")
        sync(handle)

    def renamed(path: Path, to: Path) -> Path:
        assert (path.read_bytes(), to.exists()) == (b"whole", False)
        done.append("rename")
        return rename(path, to)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    folder.replace("checkpoint", [b"who", b"le"])
    assert done == ["sync the file", "rename", "sync the folder"]


def test_a_folder_that_is_gone_is_an_error_of_the_disk(tmp_path: Path) -> None:
    folder = OsFolder(tmp_path / "state", lock=False)
    (tmp_path / "state").rmdir()
    with pytest.raises(DiskError, match=r"cannot list .*/state: No such file or directory"):
        folder.names()
    with pytest.raises(DiskError, match=r"cannot look at .*/state: No such file or directory"):
        folder.space()


def test_half_a_replacement_is_swept_away(tmp_path: Path) -> None:
    first = OsFolder(tmp_path)
    first.replace("model", [b"old"])
    first.close()
    (tmp_path / "model.new").write_bytes(b"half")
    assert OsFolder(tmp_path).names() == ["model"]
    assert not (tmp_path / "model.new").exists()


def test_an_append_that_fails_half_way_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, write = OsFolder(tmp_path), os.write
    file = folder.open("log")
    file.append(b"before")

    def half_full(handle: int, data: memoryview) -> int:
        if len(data) <= 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[:4])

    monkeypatch.setattr(os, "write", half_full)
    with pytest.raises(DiskFullError, match="No space left"):
        file.append(b"too long")
    monkeypatch.undo()
    assert folder.read("log") == b"before"
    file.append(b", after")
    assert folder.read("log") == b"before, after"


def test_a_file_whose_half_append_cannot_be_taken_back_takes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = OsFolder(tmp_path).open("log")

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    write, calls = os.write, []

    def half(handle: int, data: memoryview) -> int:
        calls.append(len(data))
        return write(handle, data[:2]) if len(calls) == 1 else fail()

    monkeypatch.setattr(os, "write", half)
    monkeypatch.setattr(os, "ftruncate", fail)
    with pytest.raises(DiskError, match="Input/output"):
        file.append(b"lost")
    monkeypatch.undo()
    with pytest.raises(DiskError):
        file.append(b"more")


# -- its twin --------------------------------------------------------------------------------------------------------


def cut_off(seed: int, power: bool = True) -> bytes:
    """What a power cut leaves of 2,000 synced bytes and 2,000 more."""
    folder = SimFolder("test", random.Random(seed))
    file = folder.open("log")
    file.append(b"s" * 2000)
    file.sync()
    file.append(b"u" * 2000)
    folder.crash(power=power)
    return folder.read("log")


def test_a_power_cut_takes_of_what_was_not_synced_all_or_nothing_or_anything() -> None:
    left = [cut_off(seed) for seed in range(200)]
    assert all(data.startswith(b"s" * 2000) for data in left)
    ends = {data[2000:] for data in left}
    assert b"" in ends
    assert b"u" * 2000 in ends
    assert any(0 < len(end) < 2000 and not end.strip(b"u") for end in ends), "torn"
    assert any(end.endswith(b"u") and b"\0" in end for end in ends), "the later write without the earlier one"
    assert any(end.strip(b"u\0") for end in ends), "rubbish"


def test_a_killed_process_loses_nothing_that_was_written() -> None:
    assert cut_off(1, power=False) == b"s" * 2000 + b"u" * 2000


def test_after_a_power_cut_a_removed_file_may_be_back_and_a_replaced_one_is_old_or_new() -> None:
    removed, replaced = set(), set()
    for seed in range(40):
        dice = random.Random(seed)

        def reach(point: str) -> None:
            if point == "test.model.replace.during":
                raise Crash(point)

        plain, watched = SimFolder("test", dice), SimFolder("test", dice, reach)
        plain.replace("model", [b"old"])
        plain.remove("model")
        plain.crash(power=True)
        removed.add(tuple(plain.names()))
        watched.restore({"model": b"old"})
        with pytest.raises(Crash):
            watched.replace("model", [b"new"])
        watched.crash(power=True)
        replaced.add(watched.read("model"))
    assert removed == {(), ("model",)}
    assert replaced == {b"old", b"new"}


def test_after_a_failed_sync_nothing_is_sure_whatever_is_said_later() -> None:
    left = set()
    for seed in range(60):
        folder = SimFolder("test", random.Random(seed))
        file = folder.open("log")
        file.append(b"written")
        folder.fail()
        with pytest.raises(DiskError, match="input/output"):
            file.sync()
        file.sync()
        folder.crash(power=True)
        left.add(folder.read("log"))
    assert {b"", b"written"} <= left


def test_a_process_that_is_gone_writes_no_more() -> None:
    folder = SimFolder("test", random.Random(1))
    file = folder.open("log")
    folder.crash(power=False)
    with pytest.raises(AssertionError, match="after its own end"):
        file.append(b"ghost")


def test_a_full_disk_takes_nothing_and_a_read_only_one_not_even_a_removal() -> None:
    folder = SimFolder("test", random.Random(1))
    file = folder.open("log")
    folder.full = True
    with pytest.raises(DiskFullError):
        file.append(b"x")
    with pytest.raises(DiskFullError):
        folder.replace("model", [b"x"])
    folder.full, folder.read_only = False, True
    for change in (lambda: file.append(b"x"), lambda: folder.replace("model", [b"x"]), lambda: folder.remove("log")):
        with pytest.raises(DiskError, match="read-only"):
            change()


def test_the_point_says_who_was_doing_what() -> None:
    reached: list[str] = []
    folder = SimFolder("coordinator", random.Random(1), reached.append)
    folder.open("journal-0000000000000001.log").append(b"x")
    assert reached == [
        "coordinator.journal.open.before", "coordinator.journal.open.during", "coordinator.journal.open.after",
        "coordinator.journal.append.before", "coordinator.journal.append.during", "coordinator.journal.append.after",
    ]  # fmt: skip
