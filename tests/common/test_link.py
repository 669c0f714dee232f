"""When bytes arrive on a thin link, without waiting for any of them."""

import random

import pytest

from thinwire.common.link import Lane, LinkProfile, parse_link

DICE = random.Random(7)


@pytest.mark.parametrize(
    ("text", "profile"),
    [
        ("200ms,2mbit", LinkProfile(0.2, 2e6)),
        (" 1.2s , 64kbit , 50ms ", LinkProfile(1.2, 64e3, 0.05)),
        ("0s,1gbit", LinkProfile(0.0, 1e9)),
        ("none", None),
    ],
)
def test_a_profile_is_round_trip_rate_and_jitter(text: str, profile: LinkProfile | None) -> None:
    assert parse_link(text) == profile


@pytest.mark.parametrize("text", ["", "200ms", "2mbit,200ms", "200ms,0bit", "1s,1mbit,1s,1s", "fast"])
def test_what_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"link|duration"):
        parse_link(text)


@pytest.mark.parametrize("text", ["200ms,2mbit", "1.5s,64kbit,50ms"])
def test_a_profile_reads_back_as_it_is_written(text: str) -> None:
    assert str(parse_link(text)) == text


def test_bytes_leave_at_the_rate_and_travel_half_the_round_trip() -> None:
    lane = Lane(LinkProfile(0.2, 8000.0))
    assert lane.send(500, now=1.0, dice=DICE) == pytest.approx(1.0 + 0.5 + 0.1)
    assert lane.send(500, now=1.0, dice=DICE) == pytest.approx(1.0 + 1.0 + 0.1), "after those before it"
    assert lane.send(500, now=9.0, dice=DICE) == pytest.approx(9.0 + 0.5 + 0.1), "idle time is not saved up"


def test_who_joins_now_waits_for_those_before() -> None:
    lane = Lane(LinkProfile(0.2, 8000.0))
    lane.send(1000, now=1.0, dice=DICE)
    assert lane.wait_s(1.25) == pytest.approx(0.75)
    assert lane.wait_s(5.0) == 0.0


def test_jitter_delays_but_never_reorders() -> None:
    lane = Lane(LinkProfile(0.2, 1e9, jitter_s=0.1))
    arrivals = [lane.send(100, now=0.001 * step, dice=DICE) for step in range(200)]
    assert arrivals == sorted(arrivals)
    assert max(arrivals) <= 0.2 + 0.1 + 0.1 + 0.001
    assert min(arrivals) >= 0.1
