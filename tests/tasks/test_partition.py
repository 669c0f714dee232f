"""Sharing a data set out: nothing is lost, nothing is given twice, and nobody goes without."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from thinwire.tasks import partition

Labels = NDArray[np.int64]
label_arrays = st.builds(
    lambda seed, num: np.random.default_rng(seed).integers(0, 10, num), st.integers(0, 2**32), st.integers(20, 300)
)
shard_counts = st.integers(1, 20)
seeds = st.integers(0, 2**32)
alphas = st.floats(1e-3, 1e3)


def assert_each_example_is_in_one_shard(shards: partition.Shards, num: int) -> None:
    assert sorted(np.concatenate(shards).tolist()) == list(range(num))
    assert all(len(shard) > 0 for shard in shards)
    assert all(shard.dtype == np.int64 and (np.diff(shard) > 0).all() for shard in shards)


@settings(max_examples=40)
@given(label_arrays, shard_counts, seeds)
def test_iid_shards_differ_by_one_example_at_most(label_N: Labels, shards: int, seed: int) -> None:
    parts = partition.iid(label_N, shards, seed)
    assert_each_example_is_in_one_shard(parts, len(label_N))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@settings(max_examples=40)
@given(label_arrays, shard_counts, seeds, alphas)
def test_dirichlet_leaves_no_shard_empty_however_harsh(label_N: Labels, shards: int, seed: int, alpha: float) -> None:
    parts = partition.dirichlet(label_N, shards, seed, alpha=alpha)
    assert_each_example_is_in_one_shard(parts, len(label_N))


@settings(max_examples=40)
@given(label_arrays, shard_counts, seeds, alphas)
def test_quantity_leaves_no_shard_empty_however_harsh(label_N: Labels, shards: int, seed: int, alpha: float) -> None:
    assert_each_example_is_in_one_shard(partition.quantity(label_N, shards, seed, alpha=alpha), len(label_N))


@settings(max_examples=40)
@given(st.integers(2, 10), st.integers(1, 12), st.data())
def test_every_shard_has_exactly_its_number_of_classes(num_classes: int, shards: int, data: st.DataObject) -> None:
    per_device = data.draw(st.integers(-(-num_classes // shards), num_classes))
    label_N = np.arange(num_classes * 40) % num_classes
    parts = partition.classes(label_N, shards, data.draw(seeds), per_device=per_device)
    assert_each_example_is_in_one_shard(parts, len(label_N))
    assert {len(set(label_N[part])) for part in parts} == {per_device}


@settings(max_examples=40)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.data())
def test_what_has_one_owner_stays_together(owners: list[int], data: st.DataObject) -> None:
    owner_N = np.array(owners)
    parts = partition.natural(owner_N, data.draw(st.integers(1, len(set(owners)))))
    assert_each_example_is_in_one_shard(parts, len(owner_N))
    owners_of = [set(owner_N[part].tolist()) for part in parts]
    assert sum(map(len, owners_of)) == len(set(owners))


def test_a_small_alpha_is_harsher_than_a_large_one() -> None:
    label_N = np.repeat(np.arange(10), 500)

    def largest_class_share(alpha: float) -> float:
        parts = partition.dirichlet(label_N, 10, 0, alpha=alpha)
        return float(np.mean([np.bincount(label_N[part]).max() / len(part) for part in parts]))

    assert largest_class_share(0.1) > 0.5
    assert largest_class_share(100.0) < 0.15


def test_each_device_computes_the_same_shards_without_asking() -> None:
    """The bytes are fixed: another draw on another machine would put one example on two devices."""
    label_N = np.arange(12) % 3
    parts = partition.dirichlet(label_N, 3, 7, alpha=0.5)
    assert [part.tolist() for part in parts] == [[1, 2, 4, 7, 8, 9, 11], [3, 6], [0, 5, 10]]
    assert [part.tolist() for part in partition.iid(label_N, 3, 7)] == [[0, 4, 6, 10], [1, 3, 7, 8], [2, 5, 9, 11]]


@pytest.mark.parametrize(
    ("shards", "alpha", "message"),
    [
        (0, 1.0, "0 shards of 12 examples"),
        (13, 1.0, "13 shards of 12 examples"),
        (3, 0.0, "alpha is 0.0; it must be 0.001 to 1000000"),
        (3, float("nan"), "alpha is nan"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(shards: int, alpha: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        partition.dirichlet(np.arange(12) % 3, shards, 0, alpha=alpha)


def test_classes_that_nobody_would_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="leaves some of the 10 classes out, so it must be 5 or more"):
        partition.classes(np.arange(100) % 10, 2, 0, per_device=3)
