"""A bad line does to packets what its profile says, and the same again for the same seed."""

import itertools
import random

import pytest

from thinwire.chaos.wire import LINES, Wire, WireProfile, lines_of

PACKETS = 20_000


def wire(seed: int = 1, **profile: float) -> Wire:
    return Wire(WireProfile(**profile), random.Random(seed))


def through(line: Wire, count: int = PACKETS, size: int = 100, every_s: float = 0.01) -> list[int]:
    """Send numbered packets at a steady pace; give the numbers that arrive, in order."""
    arrived: list[bytes] = []
    for number in range(count):
        line.send(number.to_bytes(4, "big") + bytes(size - 4), number * every_s)
        arrived += line.due(number * every_s)
    arrived += line.due(count * every_s + 3600)
    return [int.from_bytes(packet[:4], "big") for packet in arrived]


def test_a_perfect_wire_delivers_every_packet_once_and_in_order() -> None:
    assert through(wire(delay_s=0.05)) == list(range(PACKETS))


def test_a_packet_arrives_after_its_bits_have_left_and_the_delay_is_over() -> None:
    line = wire(delay_s=0.1, rate_bps=8000.0, queue_s=10.0)
    line.send(bytes(500), 0.0)
    line.send(bytes(500), 0.0)
    assert line.deadline == pytest.approx(0.6)
    assert len(line.due(0.61)) == 1
    assert line.deadline == pytest.approx(1.1)
    assert len(line.due(1.11)) == 1
    assert line.deadline is None


@pytest.mark.parametrize(
    ("profile", "lost"),
    [
        ({"loss": 0.2}, 0.2),
        # Bursts hold a fifth of all packets, 0.01 / (0.01 + 0.04), and lose half of them.
        ({"burst_begins": 0.01, "burst_ends": 0.04, "burst_loss": 0.5}, 0.1),
    ],
    ids=["by chance", "in bursts"],
)
def test_as_many_packets_are_lost_as_the_profile_says(profile: dict[str, float], lost: float) -> None:
    line = wire(**profile)
    through(line)
    assert line.counts["lost"] / PACKETS == pytest.approx(lost, rel=0.15)


def test_losses_in_bursts_come_together() -> None:
    apart, together = wire(loss=0.1), wire(burst_begins=0.01, burst_ends=0.04, burst_loss=0.5)
    assert longest_gap(through(together)) > 2 * longest_gap(through(apart))


def longest_gap(numbers: list[int]) -> int:
    return max(after - before for before, after in itertools.pairwise(numbers))


def test_a_packet_that_is_held_back_is_overtaken_and_still_arrives() -> None:
    numbers = through(wire(held=0.1, held_s=0.05))
    assert numbers != list(range(PACKETS))
    assert sorted(numbers) == list(range(PACKETS))


def test_jitter_alone_overtakes_nobody() -> None:
    assert through(wire(delay_s=0.05, jitter_s=0.2)) == list(range(PACKETS))


def test_some_packets_arrive_twice() -> None:
    line = wire(duplicate=0.1)
    numbers = through(line)
    assert len(numbers) == PACKETS + line.counts["twin"]
    assert set(numbers) == set(range(PACKETS))
    assert line.counts["twin"] / PACKETS == pytest.approx(0.1, rel=0.15)


def test_a_full_queue_refuses_and_the_rate_is_kept() -> None:
    line = wire(rate_bps=80_000.0, queue_s=0.1)
    numbers = through(line, count=1000, size=1000, every_s=0.01)
    assert len(numbers) == pytest.approx(100, abs=3)
    assert line.counts["refused"] == 1000 - len(numbers)


def test_nothing_gets_through_a_cut_and_what_was_under_way_does() -> None:
    line = wire(delay_s=1.0)
    line.send(b"before", 0.0)
    line.cut = True
    line.send(b"during", 0.1)
    line.cut = False
    line.send(b"after", 0.2)
    assert line.due(10.0) == [b"before", b"after"]


def test_the_same_seed_treats_every_packet_the_same() -> None:
    everything = {"loss": 0.1, "burst_begins": 0.01, "burst_ends": 0.1, "burst_loss": 0.9, "duplicate": 0.1,
                  "held": 0.1, "jitter_s": 0.02}  # fmt: skip
    assert through(wire(7, **everything)) == through(wire(7, **everything))
    assert through(wire(7, **everything)) != through(wire(8, **everything))


@pytest.mark.parametrize("profile", [{"loss": 1.1}, {"duplicate": -0.1}, {"rate_bps": 0.0}, {"delay_s": -1.0}])
def test_a_line_that_cannot_be_is_refused(profile: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a wire"):
        WireProfile(**profile)


def test_lines_are_chosen_by_name() -> None:
    assert lines_of("mixed") == LINES
    assert [line.name for line in lines_of("lte,wifi")] == ["lte", "wifi"]
    with pytest.raises(ValueError, match="known are wifi"):
        lines_of("lte,pigeon")
