"""The loops in C do what numpy does, bit for bit, or are not used at all."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from thinwire.common.codec import CodecError, add_and_select, add_at, native, select
from thinwire.common.codec.positions import BYTES, from_units
from thinwire.common.codec.scan import hits

Floats = NDArray[np.float32]
any_floats = st.integers(1, 70).flatmap(lambda size: arrays(np.float32, size, elements=st.floats(width=32)))


def outcome(act: Callable[[], Any]) -> tuple[object, ...]:
    """What comes of it, comparable: bytes of arrays, or the error."""
    try:
        result = act()
    except (ValueError, CodecError, IndexError) as error:
        return type(error), str(error)
    parts = result if isinstance(result, tuple) else (result,)
    return tuple(part if part is None else (part.dtype, canonical(part)) for part in parts)


def canonical(array: NDArray[Any]) -> bytes:
    """The bytes; which NaN it is does not matter."""
    return np.where(np.isnan(array), array.dtype.type(0), array).tobytes() + np.isnan(array).tobytes()


def agree(compiled: native.Loops, act: Callable[[], Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "loops", None)
        by_numpy = outcome(act)
        patch.setattr(native, "loops", compiled)
        assert outcome(act) == by_numpy


@given(vector_P=any_floats, kept=st.integers(1, 70))
def test_any_vector_is_selected_from_alike(compiled: native.Loops, vector_P: Floats, kept: int) -> None:
    agree(compiled, lambda: select(vector_P, kept))


@given(vector_P=any_floats, floor=st.floats(2.0**-149, 2.0**127, width=32), budget=st.integers(0, 70))
def test_the_same_hits_are_found_or_too_many(
    compiled: native.Loops, vector_P: Floats, floor: float, budget: int
) -> None:
    agree(compiled, lambda: hits(vector_P, np.float32(floor), budget))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
@given(vector_P=any_floats, seed=st.integers(0, 9), budget=st.integers(0, 70))
def test_increments_are_moved_alike_even_if_the_hits_are_too_many(
    compiled: native.Loops, vector_P: Floats, seed: int, budget: int
) -> None:
    def moved() -> tuple[object, ...]:
        residual_P = vector_P.copy()
        increment_P = np.random.default_rng(seed).permutation(vector_P)
        return *(hits(residual_P, np.float32(1), budget, increment_P) or (None,)), residual_P, increment_P

    agree(compiled, moved)


@pytest.mark.parametrize("size", [1023, 1024, 1025, 50_000, 3_000_001])
@pytest.mark.parametrize("density", [0.0001, 0.01, 0.4, 1.0])
def test_long_vectors_are_selected_from_alike(compiled: native.Loops, size: int, density: float) -> None:
    dice = np.random.default_rng(size)
    residual_P, increment_P = dice.standard_normal((2, size), np.float32)
    # Few distinct magnitudes: ties on every border.
    residual_P = residual_P.round(2)

    def step() -> tuple[object, ...]:
        e_P, a_P = residual_P.copy(), increment_P.copy()
        return add_and_select(e_P, a_P, int(density * size)), select(residual_P, int(density * size)), e_P, a_P

    agree(compiled, step)


@given(gaps=st.binary(min_size=1, max_size=60), kept=st.integers(1, 60), size=st.integers(1, 9000))
@example(gaps=b"\xff" * 40, kept=1, size=9000)
@example(gaps=bytes(60), kept=1, size=60)
@example(gaps=bytes(3), kept=60, size=60)
def test_any_bytes_are_read_as_gaps_or_refused_alike(compiled: native.Loops, gaps: bytes, kept: int, size: int) -> None:
    agree(compiled, lambda: from_units(np.frombuffer(gaps, np.uint8), BYTES, kept, size))


@given(value_K=any_floats, weight=st.floats(-4, 4), first=st.integers(-2, 40))
def test_sparse_values_are_added_alike_and_only_within_the_vector(
    compiled: native.Loops, value_K: Floats, weight: float, first: int
) -> None:
    value_K = np.nan_to_num(value_K, posinf=1, neginf=-1) / np.float32(8)

    def added() -> Floats:
        sum_P = np.linspace(-1, 1, 100, dtype=np.float32)
        add_at(sum_P, np.arange(first, first + value_K.size), value_K, weight)
        return sum_P

    agree(compiled, added)


@pytest.mark.parametrize("outside", [-1, 100, 1 << 62, -(1 << 63)])
def test_nothing_is_added_if_a_position_is_outside(each_loops: None, outside: int) -> None:
    sum_P = np.zeros(100, np.float32)
    with pytest.raises(IndexError, match="1 of 3 positions are outside a vector of 100"):
        add_at(sum_P, np.array([4, 7, outside]), np.ones(3, np.float32))
    assert not sum_P.any()


def test_values_without_positions_are_refused(each_loops: None) -> None:
    with pytest.raises(ValueError, match="values of shape"):
        add_at(np.zeros(9, np.float32), np.arange(3), np.ones(2, np.float32))


def test_vectors_that_c_cannot_walk_are_left_to_numpy(compiled: native.Loops) -> None:
    wide_P = np.random.default_rng(3).standard_normal(4000).astype(np.float32)
    agree(compiled, lambda: select(wide_P[::2], 100))
    agree(compiled, lambda: add_and_select(wide_P.copy()[::-1], wide_P.copy()[::-1], 100))

    def with_itself() -> tuple[object, ...]:
        vector_P = wide_P.copy()
        return add_and_select(vector_P, vector_P, 100), vector_P

    agree(compiled, with_itself)


def test_a_vector_that_may_not_be_written_is_not_written(each_loops: None) -> None:
    frozen_P = np.ones(100, np.float32)
    frozen_P.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        add_and_select(frozen_P, np.ones(100, np.float32), 10)
    assert frozen_P.sum() == 100


def test_the_environment_says_whether_they_are_used(compiled: native.Loops, tmp_path: Path) -> None:
    library = compiled.path
    loops, told = native.load(library, {})
    assert loops is not None
    assert told == "native loops"
    assert native.load(library, {"THINWIRE_NATIVE": "0"}) == (None, "numpy loops (THINWIRE_NATIVE=0)")
    assert native.load(tmp_path / "none.so", {})[1].startswith("numpy loops (none were compiled")


def test_a_library_of_another_version_is_not_used(compiled: native.Loops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "VERSION", native.VERSION + 1)
    loops, told = native.load(compiled.path, {})
    assert loops is None
    assert "install thinwire again" in told


def test_a_file_that_is_no_library_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "loops.so").write_bytes(b"anything")
    loops, told = native.load(tmp_path / "loops.so", {})
    assert loops is None
    assert "install thinwire again" in told


def test_without_a_compiler_nothing_is_left_behind(
    build_loops: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "loops.so"
    library.write_bytes(b"of an earlier build")
    monkeypatch.delenv("THINWIRE_NATIVE", raising=False)
    monkeypatch.setenv("CC", "a-compiler-that-is-not-there -m64")
    assert build_loops.build(library) == "there is no C compiler"
    monkeypatch.setenv("CC", "false")
    assert "ended with 1" in build_loops.build(library)
    assert not list(tmp_path.iterdir())
