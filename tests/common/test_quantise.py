"""What the receiver will read is known to the sender, bit for bit, and what is lost stays with the sender."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from thinwire.common.codec import ValueCode, add_and_select, quantise
from thinwire.common.codec.valuecode import dequantise

Floats = NDArray[np.float32]
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
codes = pytest.mark.parametrize("code", ValueCode)


def row(*values: float) -> Floats:
    return np.array(values, dtype=np.float32)


def top(size: int, seed: int = 0) -> Floats:
    """Values as a selection leaves them: all beyond a threshold, of both signs."""
    rng = np.random.default_rng(seed)
    return ((1 + rng.exponential(size=size)) * rng.choice([-1, 1], size) * 1e-3).astype(np.float32)


@codes
@given(values=st.lists(finite, min_size=1, max_size=100))
def test_the_sender_knows_what_the_receiver_reads(code: ValueCode, values: list[float]) -> None:
    quantised = quantise(np.array(values, dtype=np.float32), code)
    read_K = dequantise(quantised.column, quantised.book, code, len(values))
    assert read_K.tobytes() == quantised.value_K.tobytes()
    assert np.isfinite(read_K).all()


@codes
@given(values=st.lists(finite, min_size=1, max_size=100))
def test_a_codebook_is_finite_sorted_and_not_negative(code: ValueCode, values: list[float]) -> None:
    book = quantise(np.array(values, dtype=np.float32), code).book
    assert np.isfinite(book).all()
    assert (np.diff(book, prepend=0) >= 0).all()


@given(st.lists(finite, min_size=1, max_size=100))
def test_fp32_loses_nothing(values: list[float]) -> None:
    value_K = np.array(values, dtype=np.float32)
    assert quantise(value_K, ValueCode.FP32).value_K.tobytes() == value_K.tobytes()


@pytest.mark.parametrize(("code", "error"), [(ValueCode.LOG3, 0.12), (ValueCode.FP16, 0.0003), (ValueCode.FP32, 0)])
def test_the_relative_error_is_what_the_code_promises(code: ValueCode, error: float) -> None:
    value_K = top(10000)
    lost_K = quantise(value_K, code).value_K - value_K
    assert np.linalg.norm(lost_K) <= error * np.linalg.norm(value_K)


def test_log3_is_unbiased_over_each_bin() -> None:
    value_K = top(10000)
    quantised = quantise(value_K, ValueCode.LOG3)
    assert np.abs(quantised.value_K).sum(dtype=float) == pytest.approx(np.abs(value_K).sum(dtype=float), rel=1e-6)


@codes
@pytest.mark.parametrize(
    "value_K",
    [
        pytest.param(row(-3.25), id="a single value"),
        pytest.param(row(0.5, -0.5, 0.5), id="one magnitude"),
        pytest.param(row(0, 0, -0.0), id="zeros alone"),
        pytest.param(row(1e-45, -1e-45), id="the smallest subnormal"),
        pytest.param(row(3.4028235e38, -3.4028235e38), id="the largest float"),
    ],
)
def test_values_that_share_one_magnitude_are_exact_in_every_code(code: ValueCode, value_K: Floats) -> None:
    np.testing.assert_array_equal(quantise(value_K, code).value_K, value_K)


@codes
def test_what_did_not_change_stays_as_it_is(code: ValueCode) -> None:
    value_K = np.concatenate([np.zeros(50, np.float32), top(50)])
    np.testing.assert_array_equal(quantise(value_K, code).value_K[:50], 0)


def test_a_stray_tiny_value_does_not_spoil_the_bins_of_the_others() -> None:
    value_K = top(1000)
    value_K[0] = 1e-40
    lost_K = quantise(value_K, ValueCode.LOG3).value_K - value_K
    assert np.linalg.norm(lost_K) < 0.5 * np.linalg.norm(value_K)


def test_few_values_far_apart_leave_bins_empty_without_harm() -> None:
    value_K = row(1, -1, 100, 1)
    np.testing.assert_array_equal(quantise(value_K, ValueCode.LOG3).value_K, value_K)


@codes
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_with_the_first_position(code: ValueCode, odd: float) -> None:
    with pytest.raises(ValueError, match="value 2 of 4"):
        quantise(row(1, 2, odd, np.nan), code)


def test_a_quantised_row_needs_a_value_and_one_dimension() -> None:
    for wrong in (np.zeros(0, np.float32), np.zeros((2, 2), np.float32)):
        with pytest.raises(ValueError, match="one row of at least one value"):
            quantise(wrong, ValueCode.LOG3)


def cut(code: ValueCode, residual_P: Floats, increment_P: Floats) -> tuple[NDArray[np.int64], Floats]:
    """One cut as the trainer makes it: what leaves, and from where; the residual keeps the rest."""
    index_K = add_and_select(residual_P, increment_P, 100)
    sent_K = quantise(residual_P[index_K], code).value_K
    residual_P[index_K] -= sent_K
    return index_K, sent_K


def test_with_fp32_no_bit_of_the_increment_is_lost_or_sent_twice() -> None:
    residual_P, increment_P = top(5000, 1), top(5000, 2)
    sum_P = residual_P + increment_P
    index_K, sent_K = cut(ValueCode.FP32, residual_P, increment_P)
    residual_P[index_K] += sent_K
    assert residual_P.tobytes() == sum_P.tobytes()


@codes
def test_the_residual_keeps_exactly_the_float32_difference(code: ValueCode) -> None:
    residual_P, increment_P = top(5000, 1), top(5000, 2)
    sum_P = residual_P + increment_P
    index_K, sent_K = cut(code, residual_P, increment_P)
    assert residual_P[index_K].tobytes() == (sum_P[index_K] - sent_K).tobytes()
    # Values within a factor of two of each other subtract without rounding (Sterbenz), and these bins are narrower.
    np.testing.assert_array_equal(residual_P[index_K].astype(float) + sent_K, sum_P[index_K])
    unsent = np.setdiff1d(np.arange(5000), index_K)
    assert residual_P[unsent].tobytes() == sum_P[unsent].tobytes()
