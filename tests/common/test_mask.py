"""Both sides draw the same coordinates from a seed, and each coordinate is as likely as any other."""

from itertools import pairwise

import numpy as np
import pytest

from thinwire.common.codec import Limits, Packet, ValueCode, pack, quantise, unpack
from thinwire.common.codec.mask import drawn, seed_of

HASH = b"a layout"


def walked(seed: int, kept: int, size: int) -> list[int]:
    """docs/wire.md in plain integers."""
    word = (1 << 64) - 1
    bits = max(1, (size - 1).bit_length())

    def key(number: int) -> int:
        z = (seed + number * 0x9E3779B97F4A7C15) & word
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & word
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & word
        return z ^ (z >> 31)

    def permuted(place: int) -> int:
        for number in range(4):
            place = (place + key(2 * number)) * (key(2 * number + 1) | 1) % (1 << bits)
            place ^= place >> ((bits + 1) // 2)
        return place

    places = []
    for place in map(permuted, range(kept)):
        while place >= size:
            place = permuted(place)
        places.append(place)
    return sorted(places)


@pytest.mark.parametrize(("kept", "size"), [(1, 1), (1, 2), (2, 3), (12, 48), (64, 64), (60, 4097), (9, (1 << 32) - 1)])
def test_a_mask_is_what_the_document_says(kept: int, size: int) -> None:
    for number in range(5):
        seed = seed_of(77, number)
        found = drawn(seed, kept, size).tolist()
        assert found == (walked(seed, kept, size) if kept < size else list(range(size)))
        assert len(set(found)) == kept


def test_of_two_masks_of_one_seed_the_larger_holds_the_smaller() -> None:
    masks = [set(drawn(seed_of(4, 9), kept, 1000).tolist()) for kept in (1, 20, 200, 999, 1000)]
    assert all(smaller < larger for smaller, larger in pairwise(masks))


def test_each_coordinate_comes_as_often_as_any_other_and_masks_do_not_resemble_each_other() -> None:
    size, kept, masks = 1000, 50, 2000
    hits_P, shared = np.zeros(size), []
    before = drawn(seed_of(3, 0), kept, size)
    for number in range(1, masks + 1):
        index_K = drawn(seed_of(3, number), kept, size)
        hits_P[index_K] += 1
        shared.append(np.intersect1d(before, index_K).size)
        before = index_K
    mean, variance = masks * kept / size, masks * kept / size * (1 - kept / size)
    # Chi squared with about 1000 degrees of freedom: its deviation is 45, and this seed is fixed.
    assert abs(((hits_P - mean) ** 2 / variance).sum() - size) < 200
    assert np.mean(shared) == pytest.approx(kept * kept / size, rel=0.05)


def test_a_mask_costs_eight_bytes_where_positions_cost_a_hundred() -> None:
    size, kept = 4000, 200
    seed = seed_of(1, 1)
    index_K = drawn(seed, kept, size)
    value_K = np.random.default_rng(1).standard_normal(kept).astype(np.float32)
    quantised = quantise(value_K, ValueCode.FP16)
    by_seed = pack(Packet(HASH, 3, size, index_K, quantised, seed=seed))
    by_gaps = pack(Packet(HASH, 3, size, index_K, quantised))
    received = unpack(by_seed, Limits(HASH, size, kept))
    np.testing.assert_array_equal(received.index_K, index_K)
    np.testing.assert_array_equal(received.value_K, quantised.value_K)
    assert len(by_gaps) - len(by_seed) > 100
    assert len(by_seed) - len(quantised.column) < 48 + 4 + 8 + 4 + 1
