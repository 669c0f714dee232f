"""What is packed comes out again, in few bytes, and a packet that contradicts itself never leaves."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from thinwire.common.codec import Limits, Packet, ValueCode, kept_of, pack, quantise, unpack

pytestmark = pytest.mark.usefixtures("each_loops")

HASH = b"a layout"
codes = pytest.mark.parametrize("code", ValueCode)


def random_positions(size: int, kept: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(kept).choice(size, kept, replace=False, shuffle=False))


def packet(index_K: NDArray[np.int64], size: int, code: ValueCode = ValueCode.LOG3, **more: int) -> Packet:
    value_K = np.random.default_rng(0).standard_normal(index_K.size).astype(np.float32)
    return Packet(HASH, 7, size, index_K, quantise(value_K, code), **more)


def comes_out_again(sent: Packet) -> None:
    received = unpack(memoryview(pack(sent)), Limits(HASH, sent.size, sent.index_K.size, 1 << 30))
    np.testing.assert_array_equal(received.index_K, sent.index_K)
    assert received.index_K.dtype == np.int64
    assert received.value_K.tobytes() == sent.quantised.value_K.tobytes()
    assert received.value_K.dtype == np.float32
    assert (received.base, received.checksum) == (sent.base, sent.checksum)


@codes
@given(data=st.data())
def test_any_packet_comes_out_again(code: ValueCode, data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([1, 2, 255, 256, 257, 5000, 1 << 20, (1 << 32) - 1]), label="size")
    positions = data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=50), label="positions")
    floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
    values = data.draw(st.lists(floats, min_size=len(positions), max_size=len(positions)), label="values")
    quantised = quantise(np.array(values, dtype=np.float32), code)
    checksum = data.draw(st.none() | st.integers(0, (1 << 64) - 1), label="checksum")
    base = data.draw(st.integers(0, (1 << 64) - 1), label="base")
    comes_out_again(Packet(HASH, base, size, np.array(sorted(positions)), quantised, checksum))


@codes
@pytest.mark.parametrize("density", [1.0, 0.5, 0.1, 0.01, 0.004, 0.0039, 0.001, 0.0004, 1e-5])
def test_every_density_comes_out_again(code: ValueCode, density: float) -> None:
    size = 300_000
    comes_out_again(packet(random_positions(size, kept_of(density, size)), size, code))


@pytest.mark.parametrize("gap", [0, 1, 253, 254, 255, 256, 509, 510, 65533, 65534, 65535, 65536, 131069, 131070])
@pytest.mark.parametrize("size", [1 << 18, 1 << 31])
def test_a_gap_beside_an_escape_comes_out_again(gap: int, size: int) -> None:
    comes_out_again(packet(np.array([gap, gap + 1, 2 * gap + 2]), size))
    comes_out_again(packet(np.array([size - 1 - gap]), size))


def test_positions_longer_than_a_block_keep_their_place() -> None:
    comes_out_again(packet(random_positions(40_000_000, 100_000), 40_000_000))
    comes_out_again(packet(np.arange(100_000) + 3_000_000, 4_000_000))


def test_the_same_packet_always_makes_the_same_bytes() -> None:
    sent = packet(random_positions(50_000, 500), 50_000)
    assert pack(sent) == pack(sent)


def test_values_do_not_share_memory_with_the_blob() -> None:
    blob = bytearray(pack(packet(np.array([3]), 10, ValueCode.FP32)))
    received = unpack(memoryview(blob), Limits(HASH, 10, 10))
    before = received.value_K.copy()
    blob[:] = bytes(len(blob))
    np.testing.assert_array_equal(received.value_K, before)
    received.value_K[0] = 0


@pytest.mark.parametrize(("density", "most"), [(0.1, 1.03), (0.05, 1.03), (0.01, 1.03), (0.005, 1.03), (0.001, 1.06)])
def test_positions_cost_little_more_than_their_entropy(density: float, most: float) -> None:
    size = 2_000_000
    kept = kept_of(density, size)
    index_K = random_positions(size, kept)
    # All values equal: their column shrinks to nearly nothing, and what is left is the header and the positions.
    blob = pack(Packet(HASH, 0, size, index_K, quantise(np.ones(kept, np.float32), ValueCode.LOG3)))
    bound = (math.lgamma(size + 1) - math.lgamma(kept + 1) - math.lgamma(size - kept + 1)) / math.log(2)
    assert len(blob) * 8 < most * bound + 8 * 150


def test_a_kept_value_costs_at_most_12_3_bits_at_one_per_cent() -> None:
    size = 2_000_000
    kept = kept_of(0.01, size)
    value_K = np.ldexp(np.random.default_rng(0).uniform(1, 2, kept), np.random.default_rng(1).integers(0, 8, kept))
    quantised = quantise(value_K.astype(np.float32), ValueCode.LOG3)
    blob = pack(Packet(HASH, 0, size, random_positions(size, kept), quantised))
    assert len(blob) * 8 / kept <= 12.3


def test_a_small_delta_carries_a_small_header() -> None:
    sent = packet(random_positions(600, 6), 600)
    assert len(pack(sent)) == 48 + 32 + 6 + 3 + 4


@pytest.mark.parametrize(
    ("index", "complaint"),
    [([3, 3], "must ascend"), ([5, 4], "must ascend"), ([-1, 4], "must ascend"), ([1, 10], "must ascend")],
)
def test_positions_that_do_not_ascend_within_the_model_are_not_packed(index: list[int], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        pack(packet(np.array(index), 10))


def test_a_packet_that_contradicts_itself_is_not_packed() -> None:
    sound = packet(np.array([1, 2]), 10)
    for wrong, complaint in (
        (replace(sound, index_K=np.array([1])), "1 positions for 2 values"),
        (replace(sound, layout_hash=b"short"), "it has 8"),
        (replace(sound, size=1 << 32), "room for 1 to 4294967295"),
        (replace(sound, base=-1), "base"),
        (replace(sound, checksum=1 << 64), "checksum"),
    ):
        with pytest.raises(ValueError, match=complaint):
            pack(wrong)
