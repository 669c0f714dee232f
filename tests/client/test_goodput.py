"""The rate at which deltas get through, however they follow one another."""

import pytest

from thinwire.client.goodput import GoodputMeter

RATE, RTT_S = 10_000.0, 0.5


def meter() -> GoodputMeter:
    fresh = GoodputMeter()
    fresh.echoed(RTT_S)
    return fresh


def carried(sizes: list[int], every_s: float) -> list[float]:
    """The figures of a link of RATE that carries one delta after the other, sent at a steady pace."""
    fresh, free_at, figures = meter(), 0.0, []
    moments = []
    for number, size_bytes in enumerate(sizes):
        sent_at = number * every_s
        free_at = max(free_at, sent_at) + size_bytes / RATE
        moments += [(sent_at, 0, number, size_bytes), (free_at + RTT_S, 1, number, 0)]
    for at, what, number, size_bytes in sorted(moments):
        if what == 0:
            fresh.sent(number, size_bytes, at)
        else:
            fresh.settled(number, at)
            figures.append(fresh.figure)
    return figures


@pytest.mark.parametrize("every_s", [0.1, 1.0, 1.9, 3.0])
def test_the_figure_is_the_links_rate_whether_it_is_full_or_half_empty(every_s: float) -> None:
    """The offered load would be taken for the rate otherwise, and a density that follows it would sink for ever."""
    figures = carried([18_000, 20_000, 17_000, 30_000, 18_000], every_s)
    assert figures == pytest.approx([RATE] * 5)


def test_small_deltas_count_together() -> None:
    figures = carried([3_000] * 10, every_s=0.1)
    assert figures[0] == 0.0, "0.3 s beside a round trip of 0.5 s may be anything"
    assert figures[-1] == pytest.approx(RATE)


def test_a_small_delta_that_took_longer_than_the_way_counts_alone() -> None:
    assert carried([6_000], every_s=1.0) == pytest.approx([RATE])


def test_outcomes_that_come_at_once_are_divided_together() -> None:
    fresh = meter()
    for seq in (1, 2, 3, 4):
        fresh.sent(seq, 20_000, now=0.0)
    fresh.settled(1, now=2.5)
    for seq in (2, 3, 4):
        fresh.settled(seq, now=8.5)
    assert fresh.figure == pytest.approx(RATE, rel=0.5)


def test_a_link_that_got_faster_is_soon_believed() -> None:
    fresh = meter()
    for seq in range(26):
        fresh.sent(seq, 20_000, now=10.0 * seq)
        fresh.settled(seq, now=10.0 * seq + RTT_S + (2.0 if seq < 6 else 0.5))
    assert fresh.figure == pytest.approx(40_000, rel=0.1)


def test_of_several_round_trips_the_shortest_is_the_way() -> None:
    """The others waited behind a commit, or behind a delta."""
    fresh = meter()
    fresh.echoed(5.0)
    fresh.sent(1, 20_000, now=10.0)
    fresh.settled(1, now=12.5)
    assert fresh.figure == pytest.approx(RATE)


def test_without_a_round_trip_to_compare_with_a_small_delta_says_nothing() -> None:
    fresh = GoodputMeter()
    fresh.sent(1, 1000, now=0.0)
    fresh.settled(1, now=5.0)
    assert fresh.figure == 0.0


def test_what_nobody_sent_or_what_was_lost_is_not_counted() -> None:
    fresh = meter()
    fresh.settled(1, now=5.0)
    fresh.sent(2, 20_000, now=5.0)
    fresh.lost()
    fresh.settled(2, now=6.0)
    assert fresh.figure == 0.0
