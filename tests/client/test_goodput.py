"""The rate at which deltas get through, however they follow one another."""

import pytest

from thinwire.client.goodput import GoodputMeter


def test_the_way_there_and_back_is_no_part_of_the_rate() -> None:
    meter = GoodputMeter()
    meter.sent(1, 20_000, now=10.0, rtt_s=0.6)
    meter.settled(1, now=12.6)
    assert meter.figure == pytest.approx(10_000)


def test_deltas_that_follow_each_other_are_timed_together() -> None:
    """However many outcomes come at once."""
    meter = GoodputMeter()
    for seq, at in ((1, 0.0), (2, 0.5), (3, 1.0)):
        meter.sent(seq, 20_000, now=at, rtt_s=0.4)
    meter.settled(1, now=2.4)
    assert meter.figure == pytest.approx(10_000)
    meter.settled(2, now=6.4)
    meter.settled(3, now=6.4)
    assert meter.figure == pytest.approx(10_000)


def test_a_small_delta_counts_only_when_it_took_longer_than_the_way() -> None:
    meter = GoodputMeter()
    meter.sent(1, 1000, now=0.0, rtt_s=0.6)
    meter.settled(1, now=0.7)
    assert meter.figure == 0.0, "one flight: 0.1 s may be anything"
    meter.sent(2, 1000, now=1.0, rtt_s=0.6)
    meter.settled(2, now=3.6)
    assert meter.figure == pytest.approx(500)


def test_without_a_round_trip_to_compare_with_a_small_delta_says_nothing() -> None:
    meter = GoodputMeter()
    meter.sent(1, 1000, now=0.0, rtt_s=0.0)
    meter.settled(1, now=5.0)
    assert meter.figure == 0.0


def test_a_link_that_is_always_busy_is_measured_anew_now_and_then() -> None:
    meter = GoodputMeter()
    meter.sent(0, 60_000, now=0.0, rtt_s=0.0)
    for number in range(1, 61):
        meter.sent(number, 60_000, now=float(number), rtt_s=0.0)
        meter.settled(number - 1, now=float(number))
    assert meter.figure == pytest.approx(60_000)
    meter.sent(61, 60_000, now=60.0, rtt_s=0.0)
    meter.settled(60, now=70.0)
    assert meter.figure < 20_000, "the fast minute before is forgotten"


def test_what_nobody_sent_is_not_counted() -> None:
    meter = GoodputMeter()
    meter.settled(1, now=5.0)
    meter.sent(2, 20_000, now=5.0, rtt_s=0.0)
    meter.lost()
    meter.settled(2, now=6.0)
    assert meter.figure == 0.0
