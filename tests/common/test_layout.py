"""A layout has one text, one hash, and no way to be read into something too large."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinwire.common.layout import MAX_JSON_BYTES, MAX_SIZE, Layout, TensorSpec

SMALL = Layout((TensorSpec("conv.weight", (16, 3, 3, 3)), TensorSpec("conv.bias", (16,)), TensorSpec("scale", ())))
specs = st.builds(
    TensorSpec, st.text(min_size=1, max_size=20), st.lists(st.integers(1, 9), max_size=4).map(tuple),
    st.sampled_from(["float32", "float16", "int64"]),
)  # fmt: skip
layouts = st.lists(specs, max_size=6, unique_by=lambda spec: spec.name).map(lambda found: Layout(tuple(found)))


def test_tensors_lie_one_behind_the_other() -> None:
    assert SMALL.size == 16 * 27 + 16 + 1
    assert SMALL.offsets == (0, 432, 448)


def test_a_model_without_statistics_has_an_empty_layout_of_them() -> None:
    assert Layout(()).size == 0
    assert Layout(()).offsets == ()
    assert Layout.from_json(Layout(()).to_json()) == Layout(())


@given(layouts)
def test_a_layout_survives_its_text(layout: Layout) -> None:
    assert Layout.from_json(layout.to_json()) == layout
    assert Layout.from_json(layout.to_json().encode()).hash == layout.hash


def test_the_hash_never_changes() -> None:
    text = '[["conv.weight",[16,3,3,3],"float32"],["conv.bias",[16],"float32"],["scale",[],"float32"]]'
    assert SMALL.to_json() == text
    assert SMALL.hash.hex() == "3ecd168b1bcb44ec"


@pytest.mark.parametrize(
    "other",
    [
        Layout(SMALL.tensors[::-1]),
        Layout(SMALL.tensors[:2]),
        Layout((TensorSpec("conv.weight", (16, 27)), *SMALL.tensors[1:])),
        Layout((TensorSpec("conv.weight", (16, 3, 3, 3), "float16"), *SMALL.tensors[1:])),
        Layout((TensorSpec("Conv.weight", (16, 3, 3, 3)), *SMALL.tensors[1:])),
    ],
    ids=["order", "count", "shape", "dtype", "name"],
)
def test_every_difference_shows_in_the_hash(other: Layout) -> None:
    assert other.hash != SMALL.hash


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("{}", "must be a list"),
        ("7", "must be a list"),
        ('["a"]', "must be"),
        ('[["a",[1]]]', "must be"),
        ('[["a",[1],"float32",1]]', "must be"),
        ('[["a",[1.0],"float32"]]', "must be"),
        ('[["a",[true],"float32"]]', "must be"),
        ('[[7,[1],"float32"]]', "must be"),
        ('[["a",[0],"float32"]]', "each dimension"),
        ('[["a",[-1],"float32"]]', "each dimension"),
        ('[["a",[1,1,1,1,1,1,1,1,1],"float32"]]', "9 dimensions"),
        ('[["a",[1],"complex64"]]', "known are"),
        ('[["",[1],"float32"]]', "1 to 256"),
        ('[["' + "a" * 257 + '",[1],"float32"]]', "1 to 256"),
        ('[["a",[1],"float32"],["a",[2],"float32"]]', "same name"),
        ('[["a",[65536,65536],"float32"]]', "fit the wire format"),
        (f'[["a",[{MAX_SIZE + 1}],"float32"]]', "each dimension"),
        ("[" + "0," * 20_000 + "0]", "at most 16384 tensors"),
        (" " * (MAX_JSON_BYTES + 1), "at most 1048576"),
    ],
)
def test_a_text_that_is_no_layout_is_refused(text: str | bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Layout.from_json(text)
