"""How deltas become one update."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinwire.server.fold import Fold, Statistics, staleness_weight
from thinwire.server.outer import Sgd
from thinwire.server.roster import Roster

SIZE = 8
Delta = tuple[list[int], float, float]
deltas = st.lists(
    st.tuples(st.sets(st.integers(0, SIZE - 1), min_size=1).map(sorted), st.floats(-9, 9), st.floats(0.01, 1)),
    min_size=1,
    max_size=6,
)


def folded(denominator: str, parts: list[Delta]) -> np.ndarray:
    fold = Fold(SIZE, denominator)
    for index, value, weight in parts:
        fold.add(np.array(index), np.full(len(index), value, np.float32), weight)
    assert fold.count == len(parts)
    return fold.close()


@given(deltas)
def test_all_is_the_weighted_sum(parts: list[Delta]) -> None:
    expected = np.zeros(SIZE)
    for index, value, weight in parts:
        expected[index] += weight * value
    assert folded("all", parts) == pytest.approx(expected, abs=1e-4)


@given(deltas)
def test_covered_is_the_mean_of_those_who_sent_it_at_the_buffers_weight(parts: list[Delta]) -> None:
    expected = np.zeros(SIZE)
    for place in range(SIZE):
        senders = [(value, weight) for index, value, weight in parts if place in index]
        if senders:
            mean = sum(value * weight for value, weight in senders) / sum(weight for _, weight in senders)
            expected[place] = mean * sum(weight for _, _, weight in parts)
    assert folded("covered", parts) == pytest.approx(expected, abs=1e-4)


@given(deltas)
def test_both_agree_where_everything_is_covered(parts: list[Delta]) -> None:
    everywhere = [(list(range(SIZE)), value, weight) for _, value, weight in parts]
    assert folded("covered", everywhere) == pytest.approx(folded("all", everywhere), abs=1e-4)


@pytest.mark.parametrize("denominator", ["all", "covered"])
def test_one_delta_alone_keeps_its_bits(denominator: str) -> None:
    value = np.array([1 / 3, 1e-30, -7.1], np.float32)
    fold = Fold(SIZE, denominator)
    fold.add(np.array([1, 4, 7]), value, 0.3)
    assert np.array_equal(fold.close()[[1, 4, 7]], np.float32(0.3) * value)


@pytest.mark.parametrize("denominator", ["all", "covered"])
def test_a_closed_fold_is_empty_and_lets_go_of_its_update(denominator: str) -> None:
    fold = Fold(SIZE, denominator)
    fold.add(np.array([1]), np.ones(1, np.float32), 0.5)
    fold.add(np.array([2]), np.ones(1, np.float32), 0.5)
    update = fold.close()
    update[:] = 99
    assert (fold.count, fold.weight) == (0, 0.0)
    fold.add(np.array([3]), np.ones(1, np.float32), 0.5)
    assert np.flatnonzero(fold.close()).tolist() == [3]


def test_the_covers_of_one_buffer_do_not_reach_the_next() -> None:
    fold = Fold(SIZE, "covered")
    for _ in range(2):
        fold.add(np.array([0, 1]), np.ones(2, np.float32), 0.25)
        fold.add(np.array([1]), np.ones(1, np.float32), 0.25)
        assert fold.close()[:2] == pytest.approx([0.5, 0.5])


def test_statistics_are_averaged_by_weight_and_never_summed() -> None:
    statistics = Statistics(2)
    assert statistics.close() is None
    statistics.add(np.array([1, 10], np.float32), 0.25)
    statistics.add(np.array([5, 30], np.float32), 0.75)
    mean = statistics.close()
    assert mean is not None
    assert mean.tolist() == [4.0, 25.0]
    assert mean.dtype == np.float32
    assert statistics.close() is None


@pytest.mark.parametrize(
    ("kind", "staleness", "weight"), [("none", 8, 1.0), ("polynomial", 0, 1.0), ("polynomial", 3, 0.5)]
)
def test_staleness_weighs_only_when_asked(kind: str, staleness: int, weight: float) -> None:
    assert staleness_weight(kind, staleness, 0.5) == weight


def test_plain_outer_steps_are_the_update_itself() -> None:
    update = np.array([1, -2], np.float32)
    outer = Sgd(1.0, 0.0)
    assert outer.step(update) is update
    assert outer.gain == 1.0
    assert Sgd(0.5, 0.0).step(update).tolist() == [0.5, -1.0]


def test_outer_momentum_multiplies_a_steady_update_by_its_gain() -> None:
    outer = Sgd(0.5, 0.9)
    assert outer.gain == pytest.approx(5.0)
    steps = [float(outer.step(np.ones(1, np.float32))[0]) for _ in range(100)]
    assert steps[:3] == pytest.approx([0.5, 0.95, 1.355])
    assert steps[-1] == pytest.approx(5.0, abs=1e-3)


def test_outer_momentum_keeps_its_own_memory() -> None:
    outer = Sgd(1.0, 0.5)
    outer.step(np.ones(1, np.float32))[:] = 99
    assert float(outer.step(np.zeros(1, np.float32))[0]) == 0.5


def test_shares_sum_to_one_and_outlive_a_stream() -> None:
    roster = Roster()
    for device, examples in (("a", 10), ("b", 30), ("c", 0)):
        roster.enrol(device, examples)
        roster.join(device)
    roster.leave("b")
    roster.leave("nobody")
    assert roster.live == 2
    shares = [roster.share(device, by_examples=True) for device in "abc"]
    assert shares == pytest.approx([10 / 41, 30 / 41, 1 / 41])
    roster.enrol("b", 50)
    roster.join("b")
    assert (roster.live, roster.share("b", by_examples=True)) == (3, 50 / 61)


def test_uniform_shares_know_no_examples() -> None:
    roster = Roster()
    roster.enrol("a", 1)
    roster.enrol("b", 1000)
    assert roster.share("a", by_examples=False) == roster.share("b", by_examples=False) == 0.5


def test_another_roster_goes_on_from_what_one_has_dumped_with_nobody_back_yet() -> None:
    first, second = Roster(), Roster()
    first.enrol("a", 10)
    first.join("a")
    second.load(first.dump())
    assert (second.dump(), second.live) == (first.dump(), 0)
