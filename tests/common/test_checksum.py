"""The checksum of a model follows its commits at the touched coordinates alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinwire.common import checksum
from thinwire.common.checksum import BLOCK

WORD = 1 << 64


def by_definition(values: list[float]) -> int:
    """The formula of the module, coordinate by coordinate, in Python's own integers."""
    total = 0
    for position, bits in enumerate(np.array(values, dtype=np.float32).view(np.uint32).tolist()):
        word = (position << 32 | bits) * 0x9E3779B97F4A7C15 % WORD
        word ^= word >> 32
        word = word * 0xBF58476D1CE4E5B9 % WORD
        total += word ^ word >> 29
    return total % WORD


@given(st.lists(st.floats(width=32), max_size=50))
def test_the_checksum_is_the_documented_sum(values: list[float]) -> None:
    assert checksum.full(np.array(values, dtype=np.float32)) == by_definition(values)


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, 2 * BLOCK + 1])
def test_a_commit_moves_the_checksum_at_its_own_coordinates(size: int) -> None:
    rng = np.random.default_rng(size)
    vector_P = rng.standard_normal(size).astype(np.float32)
    index_K = np.flatnonzero(rng.random(size) < 0.3)
    before, old = checksum.full(vector_P), checksum.of(index_K, vector_P[index_K])
    vector_P[index_K] += np.float32(0.1)
    assert checksum.full(vector_P) == (before - old + checksum.of(index_K, vector_P[index_K])) % WORD


def test_the_whole_is_the_sum_of_its_parts_in_any_order() -> None:
    vector_P = np.random.default_rng(0).standard_normal(70_000).astype(np.float32)
    order_P = np.random.default_rng(1).permutation(70_000)
    assert checksum.of(order_P, vector_P[order_P]) == checksum.full(vector_P)


@pytest.mark.parametrize(
    "other",
    [[2, 1, 3], [1, 2, 4], [1, 2, 3, 0], [1, 2], [-1, 2, 3], [2, 0, 4], [1, 2.0000002, 3]],
)
def test_vectors_that_differ_have_different_checksums(other: list[float]) -> None:
    assert checksum.full(np.array([1, 2, 3], np.float32)) != checksum.full(np.array(other, np.float32))


def test_zero_and_minus_zero_are_different_bits() -> None:
    assert checksum.full(np.array([0.0], np.float32)) != checksum.full(np.array([-0.0], np.float32))


def test_nothing_sums_up_to_nothing() -> None:
    assert checksum.full(np.zeros(0, np.float32)) == 0
    assert checksum.of(np.zeros(0, np.int64), np.zeros(0, np.float32)) == 0
