"""Half deltas outlive the coordinator's process, and nothing odd on the shelf gets in anybody's way."""

import hashlib
from pathlib import Path

import pytest

from thinwire.common.values import DeltaChunk, DeltaHeader, Staged
from thinwire.server.shelf import Shelf
from thinwire.server.staging import Staging

PAYLOAD = bytes(range(100))
HEADER = DeltaHeader(len(PAYLOAD), hashlib.sha256(PAYLOAD).digest())


def chunk(start: int, end: int) -> DeltaChunk:
    return DeltaChunk(7, start, PAYLOAD[start:end], HEADER if start in (0, 60) else None, end=end == len(PAYLOAD))


def staging(path: Path) -> Staging:
    """A coordinator's staging, as after a start."""
    return Staging(1000, 1000, Shelf(path))


def test_a_delta_goes_on_where_the_process_ended(tmp_path: Path) -> None:
    before = staging(tmp_path)
    before.take("a", chunk(0, 30))
    before.take("a", chunk(30, 60))
    after = staging(tmp_path)
    assert after.staged("a") == (Staged(7, 60),)
    whole = after.take("a", chunk(60, 100))
    assert whole is not None
    assert whole.payload == PAYLOAD
    assert list(tmp_path.iterdir()) == []


def test_a_delta_of_one_chunk_never_touches_the_disk(tmp_path: Path) -> None:
    assert staging(tmp_path).take("a", chunk(0, 100)) is not None
    assert list(tmp_path.iterdir()) == []


def test_what_is_given_up_is_gone_from_the_shelf(tmp_path: Path) -> None:
    held = staging(tmp_path)
    held.take("a", chunk(0, 30))
    held.forget("a")
    assert staging(tmp_path).staged("a") == ()


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_file_cut_anywhere_is_shorter_or_nothing(tmp_path: Path, cut: int) -> None:
    staging(tmp_path).take("a", chunk(0, 30))
    [path] = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    staged = staging(tmp_path).staged("a")
    label = len(content) - 30
    assert staged == ((Staged(7, min(cut, len(content)) - label),) if cut >= label else ())


@pytest.mark.parametrize("name", ["../a.part", "A B.part", "a.part"])
def test_what_is_no_half_delta_is_thrown_away(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "arriving"
    Shelf(folder)
    (folder / Path(name).name).write_bytes(b"\xff" * 5000)
    assert list(Shelf(folder).load(1000)) == []
    assert list(folder.iterdir()) == []


def test_where_there_can_be_no_shelf_deltas_come_in_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "arriving").write_bytes(b"a file, where the folder should be")
    held = staging(tmp_path / "arriving")
    held.take("a", chunk(0, 60))
    assert held.take("a", chunk(60, 100)) is not None
    assert staging(tmp_path / "arriving").staged("a") == ()


def test_what_cannot_be_thrown_away_is_left_there(tmp_path: Path) -> None:
    (tmp_path / "a.part").mkdir()
    assert staging(tmp_path).staged("a") == ()
