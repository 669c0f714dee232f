"""Picture files of each format are read, and damaged ones are refused with what is wrong."""

import contextlib
import gzip
import json
import struct
from pathlib import Path

import crafted
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from thinwire.common.errors import TaskError
from thinwire.tasks.decode import read_cifar_records, read_cifar_sheet, read_idx, read_json_labels

IMAGE_NHW = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
IDX = crafted.idx(IMAGE_NHW)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_comes_back_gzipped_or_not(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"images{suffix}"
    path.write_bytes(gzip.compress(IDX) if suffix else IDX)
    assert np.array_equal(read_idx(path, (4, 5)), IMAGE_NHW)


def head(*shape: int, kind: int = 8) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape)


@pytest.mark.parametrize(("content", "message"), [
    (b"", "is no IDX file"),
    (IDX[:10], "is no IDX file"),
    (b"\x01" + IDX[1:], "is no IDX file"),
    (head(3, 4, 5, kind=9) + IDX[16:], "is no IDX file"),
    (head(12, 5) + IDX[16:], "with 3 axes"),
    (head(3, 5, 4) + IDX[16:], r"holds \(3, 5, 4\)"),
    (head(0, 4, 5), r"holds \(0, 4, 5\)"),
    (head(2**32 - 1, 4, 5), r"holds \(4294967295, 4, 5\); wanted are 1 to 100000"),
    (IDX[:-1], "does not have the 60 values"),
    (IDX + b"\0", "does not have the 60 values"),
])  # fmt: skip
def test_a_damaged_idx_file_says_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(TaskError, match=message):
        read_idx(tmp_path / "images", (4, 5))


def test_a_gzip_bomb_stops_at_the_values_that_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "images.gz").write_bytes(gzip.compress(IDX + bytes(1 << 22)))
    with pytest.raises(TaskError, match="does not have the 60 values"):
        read_idx(tmp_path / "images.gz", (4, 5))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_to_a_gzipped_file_is_anything_but_a_refusal(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(gzip.compress(IDX))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "images.gz").write_bytes(content)
    with contextlib.suppress(TaskError):
        assert np.array_equal(read_idx(tmp_path / "images.gz", (4, 5)), IMAGE_NHW)


def test_cifar_records_are_a_label_and_three_planes(tmp_path: Path) -> None:
    made = crafted.pictures(7, (3, 32, 32))
    (tmp_path / "a.bin").write_bytes(crafted.records(made.train_image, made.train_label))
    image_N, label_N = read_cifar_records(tmp_path / "a.bin")
    assert np.array_equal(image_N, made.train_image)
    assert np.array_equal(label_N, made.train_label)


@pytest.mark.parametrize("num_bytes", [0, 3072, 3074])
def test_half_a_record_is_refused(tmp_path: Path, num_bytes: int) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(num_bytes))
    with pytest.raises(TaskError, match=f"{num_bytes} bytes are no whole number of records"):
        read_cifar_records(tmp_path / "a.bin")


def test_a_row_of_a_sheet_is_a_picture(tmp_path: Path) -> None:
    image_N = crafted.pictures(3, (3, 32, 32)).train_image
    Image.fromarray(image_N.transpose(0, 2, 3, 1).reshape(3, 1024, 3)).save(tmp_path / "a.png")
    assert np.array_equal(read_cifar_sheet(tmp_path / "a.png"), image_N)


@pytest.mark.parametrize(("size", "mode"), [((1023, 2), "RGB"), ((1024, 2), "L"), ((1024, 2), "RGBA")])
def test_another_sheet_is_refused(tmp_path: Path, size: tuple[int, int], mode: str) -> None:
    Image.new(mode, size).save(tmp_path / "a.png")
    with pytest.raises(TaskError, match=f"is {mode}, {size[0]}x2; wanted is RGB"):
        read_cifar_sheet(tmp_path / "a.png")


def test_a_sheet_cut_short_or_of_another_format_is_refused(tmp_path: Path) -> None:
    Image.effect_noise((1024, 4), 9.0).convert("RGB").save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:2000])
    Image.new("RGB", (1024, 2)).save(tmp_path / "b.png", format="BMP")
    for name in ("a.png", "b.png"):
        with pytest.raises(TaskError, match="is no PNG that can be read"):
            read_cifar_sheet(tmp_path / name)


def test_labels_are_a_json_list_of_small_numbers(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text("[0, 9, 3]")
    assert read_json_labels(tmp_path / "labels.json").tolist() == [0, 9, 3]


@pytest.mark.parametrize("content", [
    "", "[", "{}", '["1"]', "[10]", "[-1]", "[1.0]", "[true]", "[" * 100_000, json.dumps([1] * 400_000),
])  # fmt: skip
def test_any_other_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(TaskError, match="is no JSON list of labels from 0 to 9"):
        read_json_labels(tmp_path / "labels.json")
