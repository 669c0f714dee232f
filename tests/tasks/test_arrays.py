"""A file is what was declared, or it is refused before anything large is allocated."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from thinwire.common.errors import TaskError
from thinwire.tasks.arrays import ArraySpec, read_arrays

SPECS = {"image": ArraySpec("uint8", (None, 4), most=400), "scale": ArraySpec("float32", (2,))}
GOOD = {"image": np.arange(40, dtype=np.uint8).reshape(10, 4), "scale": np.ones(2, np.float32)}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_was_written_comes_back(tmp_path: Path, save: object, order: str) -> None:
    assert callable(save)
    save(tmp_path / "a.npz", **{name: np.array(array, order=order) for name, array in GOOD.items()})
    found = read_arrays(tmp_path / "a.npz", SPECS)
    assert all(np.array_equal(found[name], GOOD[name]) for name in SPECS)


def test_what_is_stored_plainly_is_mapped_so_that_processes_share_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **GOOD)
    image = read_arrays(tmp_path / "a.npz", SPECS)["image"]
    assert isinstance(image.base, np.memmap)
    assert not image.flags.writeable


@pytest.mark.parametrize(("change", "message"), [
    ({"extra": np.zeros(1)}, "holds .*extra.*are wanted"),
    ({"image": GOOD["image"].astype(np.int16)}, r"image is int16 \(10, 4\); wanted is uint8"),
    ({"image": np.zeros((101, 4), np.uint8)}, "at most 400 elements"),
    ({"image": np.zeros(40, np.uint8)}, r"wanted is uint8 \(None, 4\)"),
    ({"scale": np.ones(3, np.float32)}, r"wanted is float32 \(2,\)"),
    ({"image": GOOD["image"].astype(object)}, "an array of objects"),
])  # fmt: skip
def test_another_array_than_the_declared_is_refused(
    tmp_path: Path, change: dict[str, np.ndarray], message: str
) -> None:
    np.savez(tmp_path / "a.npz", **(GOOD | change))
    with pytest.raises(TaskError, match=message):
        read_arrays(tmp_path / "a.npz", SPECS)


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **GOOD)
    rewrite(tmp_path / "a.npz", lambda content: content.replace(b"(10, 4)", b"(99, 4)"))
    with pytest.raises(TaskError, match="does not have the 396 bytes"):
        read_arrays(tmp_path / "a.npz", SPECS)


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY\x03\x00", b"\x93NUMPY\x01\x00" + struct.pack("<H", 9999)])
def test_a_member_that_is_no_array_is_refused(tmp_path: Path, content: bytes) -> None:
    np.savez(tmp_path / "a.npz", **GOOD)
    rewrite(tmp_path / "a.npz", lambda _: content)
    with pytest.raises(TaskError, match=r"a\.npz"):
        read_arrays(tmp_path / "a.npz", SPECS)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **GOOD)
    whole = (tmp_path / "a.npz").read_bytes()
    for length in range(0, len(whole) - 22, 7):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(TaskError, match=r"cut\.npz: cannot be read"):
            read_arrays(tmp_path / "cut.npz", SPECS)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="cannot be read as a data set"):
        read_arrays(tmp_path / "none.npz", SPECS)


def rewrite(path: Path, change: object) -> None:
    """Change the bytes of each member, in a sound archive."""
    assert callable(change)
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(name, change(content))
