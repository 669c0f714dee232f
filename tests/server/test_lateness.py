"""Deltas on older versions: the Taylor term of DC-ASGD, and the draw of FedAsync towards what the device had."""

import numpy as np
import pytest

from thinwire.common.codec import ValueCode
from thinwire.common.layout import Layout, TensorSpec
from thinwire.server.lateness import Lateness
from thinwire.server.model import GlobalModel

SIZE = 30
LAYOUT = Layout((TensorSpec("w", (SIZE,)),))
INDEX_K, VALUE_K = np.array([2, 3, 20]), np.array([1.0, -2.0, 0.5], np.float32)
TAYLOR: dict[str, float | str] = {"bounded_taylor": 0.25, "versions": 4}
MODEL: dict[str, float | str] = {"mixing": "model", "versions": 4}


def published(count: int, *lateness: Lateness) -> list[np.ndarray]:
    """The weights at each version, of a model whose every commit is told; a third of it moves with each."""
    model = GlobalModel(LAYOUT, Layout(()), np.zeros(SIZE, np.float32), np.zeros(0, np.float32))
    draw = np.random.default_rng(2)
    weights = [model.weights_P.copy()]
    for _ in range(count):
        commit = model.publish(draw.normal(size=SIZE).astype(np.float32), None, 0.33, ValueCode.FP32)
        for one in lateness:
            one.published(commit)
        weights.append(model.weights_P.copy())
    return weights


def test_by_default_nothing_changes_and_nothing_is_kept() -> None:
    lateness = Lateness(LAYOUT, {})
    published(3, lateness)
    assert lateness.adjusted(0, INDEX_K, VALUE_K) == (INDEX_K, VALUE_K)
    assert lateness.dump() == {}


@pytest.mark.parametrize("base", [3, 4, 5])
def test_the_taylor_term_is_that_of_dc_asgd(base: int) -> None:
    lateness = Lateness(LAYOUT, TAYLOR)
    weights = published(5, lateness)
    index_K, value_K = lateness.adjusted(base, INDEX_K, VALUE_K)
    moved_K = (weights[5] - weights[base])[INDEX_K]
    assert np.array_equal(index_K, INDEX_K)
    assert np.abs(value_K - (VALUE_K - 0.25 * VALUE_K**2 * moved_K)).max() < 1e-6


@pytest.mark.parametrize("strength", [1e3, 1e30])
def test_a_large_strength_cancels_or_doubles_and_no_more(strength: float) -> None:
    lateness = Lateness(LAYOUT, {**TAYLOR, "bounded_taylor": strength})
    weights = published(5, lateness)
    index_K, sent_K = np.arange(SIZE), np.where(np.arange(SIZE) % 2, 1.0, -2.0).astype(np.float32)
    _, value_K = lateness.adjusted(3, index_K, sent_K)
    moved_K = weights[5] - weights[3]
    assert set(np.sign(sent_K * moved_K)) == {-1.0, 0.0, 1.0}
    # What goes the way that the model has gone since is cancelled, what goes against it is doubled.
    assert np.array_equal(value_K, sent_K * (1 - np.sign(sent_K * moved_K)))
    assert value_K.dtype == np.float32


def test_a_journal_that_was_begun_without_the_bounds_has_the_same_sums_again() -> None:
    lateness = Lateness(LAYOUT, {"taylor": 1e3, "versions": 4})
    weights = published(5, lateness)
    index_K, sent_K = np.arange(SIZE), np.where(np.arange(SIZE) % 2, 1.0, -2.0).astype(np.float32)
    _, value_K = lateness.adjusted(3, index_K, sent_K)
    assert np.allclose(value_K, sent_K - 1e3 * sent_K**2 * (weights[5] - weights[3]), rtol=1e-4)
    assert np.abs(value_K).max() > 10


def test_a_whole_model_is_mixed_in() -> None:
    """W + a (c - (W - W_base)) = (1 - a) W + a (W_base + c)."""
    lateness = Lateness(LAYOUT, MODEL)
    weights = published(5, lateness)
    sent_P = np.arange(SIZE, dtype=np.float32)
    index_K, value_K = lateness.adjusted(3, np.arange(SIZE), sent_P)
    mixed_P = weights[5][index_K] + 0.6 * value_K
    assert np.abs(mixed_P - (0.4 * weights[5] + 0.6 * (weights[3] + sent_P))).max() < 1e-5


def test_what_is_older_than_remembered_counts_from_the_oldest() -> None:
    lateness = Lateness(LAYOUT, MODEL)
    weights = published(9, lateness)
    _, value_K = lateness.adjusted(0, INDEX_K, VALUE_K)
    assert np.abs(value_K.sum() - (VALUE_K.sum() - (weights[9] - weights[5]).sum())) < 1e-4


def test_it_goes_on_from_a_checkpoint() -> None:
    lateness, again = Lateness(LAYOUT, TAYLOR), Lateness(LAYOUT, TAYLOR)
    published(3, lateness)
    again.load({name: np.frombuffer(vector.tobytes(), np.float32) for name, vector in lateness.dump().items()})
    published(2, lateness, again)
    for base in (1, 3, 4):
        found, wanted = again.adjusted(base, INDEX_K, VALUE_K), lateness.adjusted(base, INDEX_K, VALUE_K)
        assert np.array_equal(found[1], wanted[1])


def test_with_a_shorter_memory_it_goes_on_from_the_newest_of_a_longer_one() -> None:
    """As after a restart with a lower `aggregation.max_staleness`."""
    longer, shorter = Lateness(LAYOUT, TAYLOR), Lateness(LAYOUT, {**TAYLOR, "versions": 2})
    published(4, longer)
    shorter.load(longer.dump())
    for base in (2, 3):
        assert np.array_equal(shorter.adjusted(base, INDEX_K, VALUE_K)[1], longer.adjusted(base, INDEX_K, VALUE_K)[1])
    assert np.array_equal(shorter.adjusted(0, INDEX_K, VALUE_K)[1], longer.adjusted(2, INDEX_K, VALUE_K)[1])
