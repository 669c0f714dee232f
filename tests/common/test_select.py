"""Selection is exact, whatever the vector looks like, and says so when it cannot be."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from thinwire.common.codec import add_and_select, kept_of, select
from thinwire.common.codec.scan import BLOCK, STRIP
from thinwire.common.codec.topk import SAMPLE

pytestmark = pytest.mark.usefixtures("each_loops")

Floats = NDArray[np.float32]
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


def noise(size: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


def by_sorting(vector_P: Floats, kept: int) -> NDArray[np.int64]:
    """The definition: largest magnitudes first, lower positions first among equals."""
    return np.sort(np.argsort(-np.abs(vector_P), kind="stable")[:kept])


@pytest.mark.parametrize("density", [1e-9, 0.001, 0.01, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 1000, BLOCK - 1, BLOCK + 1, 2 * BLOCK])
def test_the_selection_is_the_head_of_a_stable_sort(size: int, density: float) -> None:
    vector_P = noise(size)
    kept = kept_of(density, size)
    np.testing.assert_array_equal(select(vector_P, kept), by_sorting(vector_P, kept))


def test_a_vector_longer_than_a_strip_is_one_vector() -> None:
    vector_P = noise(STRIP + 12345)
    np.testing.assert_array_equal(select(vector_P, 5000), by_sorting(vector_P, 5000))


@given(st.lists(finite, min_size=1, max_size=200), st.integers(1, 200))
def test_any_finite_vector_is_selected_from_exactly(values: list[float], kept: int) -> None:
    vector_P = np.array(values, dtype=np.float32)
    np.testing.assert_array_equal(select(vector_P, kept), by_sorting(vector_P, kept))


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -1e-45, 3.4e38])
def test_of_equal_magnitudes_the_first_are_kept(value: float) -> None:
    vector_P = np.full(3 * SAMPLE, value, dtype=np.float32)
    np.testing.assert_array_equal(select(vector_P, 100), np.arange(100))


def test_zeros_fill_up_what_the_non_zeros_leave_open() -> None:
    vector_P = np.zeros(4 * SAMPLE, dtype=np.float32)
    vector_P[[70000, 90000]] = 1, -2
    np.testing.assert_array_equal(select(vector_P, 5), [0, 1, 2, 70000, 90000])


def test_a_nearly_empty_vector_is_no_special_case() -> None:
    vector_P = np.zeros(4 * SAMPLE, dtype=np.float32)
    vector_P[7::101] = noise(vector_P[7::101].size)
    np.testing.assert_array_equal(select(vector_P, 1000), by_sorting(vector_P, 1000))


def test_subnormal_magnitudes_are_told_apart() -> None:
    vector_P = (np.arange(1000) % 7).astype(np.float32) * np.float32(1e-45)
    np.testing.assert_array_equal(select(vector_P, 142), np.arange(6, 1000, 7))


@pytest.mark.parametrize("seen", [1000.0, 0.0], ids=["the sample sees giants", "the sample sees nothing"])
def test_a_sample_that_misleads_costs_time_and_not_exactness(seen: float) -> None:
    vector_P = noise(8 * SAMPLE)
    for stride in range(1, 32):
        vector_P[::stride] = seen if stride >= 8 else vector_P[::stride]
    kept = 4000
    np.testing.assert_array_equal(select(vector_P, kept), by_sorting(vector_P, kept))


@pytest.mark.parametrize("odd", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kept", [1, 20, 5000])
def test_a_vector_that_is_not_finite_is_refused_with_the_first_position(odd: float, kept: int) -> None:
    vector_P = noise(5000)
    vector_P[[4321, 4400]] = odd, np.inf
    with pytest.raises(ValueError, match="parameter 4321 of 5000"):
        select(vector_P, kept)


def test_a_vector_of_nothing_but_nan_is_refused_too() -> None:
    with pytest.raises(ValueError, match="parameter 0 of"):
        select(np.full(4 * SAMPLE, np.nan, dtype=np.float32), 10)


def test_adding_and_selecting_is_adding_and_then_selecting() -> None:
    residual_P, increment_P = noise(BLOCK + 77, 1), noise(BLOCK + 77, 2)
    sum_P = residual_P + increment_P
    index_K = add_and_select(residual_P, increment_P, 1300)
    np.testing.assert_array_equal(residual_P, sum_P)
    np.testing.assert_array_equal(index_K, by_sorting(sum_P, 1300))
    assert not increment_P.any()


@pytest.mark.parametrize("kept", [1, 300, 1000])
def test_a_sum_that_overflows_is_refused_after_the_increment_has_moved(kept: int) -> None:
    residual_P, increment_P = np.ones(1000, dtype=np.float32), np.ones(1000, dtype=np.float32)
    residual_P[500] = increment_P[500] = 3e38
    with pytest.raises(ValueError, match="parameter 500 of 1000 is inf"):
        add_and_select(residual_P, increment_P, kept)
    assert not increment_P.any()
    assert residual_P[0] == residual_P[999] == 2


@pytest.mark.parametrize(
    ("density", "size", "kept"),
    [(0.01, 1000, 10), (0.01, 10, 1), (1.0, 7, 7), (5.0, 7, 7), (0.0, 7, 1), (0.25, 10, 2), (0.35, 10, 4)],
)
def test_a_density_keeps_at_least_one_value_and_at_most_all(density: float, size: int, kept: int) -> None:
    assert kept_of(density, size) == kept


@pytest.mark.parametrize(("kept", "served"), [(-3, 1), (0, 1), (11, 10)])
def test_a_count_outside_the_vector_is_brought_into_it(kept: int, served: int) -> None:
    assert select(noise(10), kept).size == served
    assert add_and_select(noise(10), noise(10), kept).size == served


def test_only_a_row_of_float32_is_selected_from() -> None:
    for wrong in (np.zeros(3), np.zeros((2, 2), np.float32), np.zeros(0, np.float32)):
        with pytest.raises(ValueError, match="one row of float32 is needed"):
            select(wrong, 1)
    with pytest.raises(ValueError, match="a residual of 3 and an increment of 4"):
        add_and_select(np.zeros(3, np.float32), np.zeros(4, np.float32), 1)


@pytest.mark.parametrize("vector_P", [noise(3 * STRIP), np.ones(3 * STRIP, np.float32)], ids=["noise", "all equal"])
def test_scratch_memory_does_not_grow_with_the_vector(vector_P: Floats) -> None:
    tracemalloc.start()
    select(vector_P, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
