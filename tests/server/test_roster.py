"""Counts and shares are right after any order of joining, leaving and coming back with more examples."""

import random

import pytest

from thinwire.server.roster import Roster


@pytest.mark.parametrize("by_examples", [False, True])
def test_counts_and_shares_follow_whatever_devices_do(by_examples: bool) -> None:
    dice, roster = random.Random(by_examples), Roster()
    for _ in range(300):
        device = f"d{dice.randrange(8)}"
        if dice.random() < 0.6:
            roster.enrol(device, dice.randrange(5))
            roster.join(device)
        else:
            roster.leave(device)
        members = roster.members
        assert roster.live == sum(member.live for member in members.values())
        if members:
            assert sum(roster.share(name, by_examples=by_examples) for name in members) == pytest.approx(1.0)


def test_a_device_weighs_by_its_examples_and_one_at_least() -> None:
    roster = Roster()
    for device, examples in (("a", 3), ("b", 0), ("a", 5)):
        roster.enrol(device, examples)
    shares = [roster.share(device, by_examples=True) for device in ("a", "b")]
    assert shares == [5 / 6, 1 / 6]
    assert roster.share("a", by_examples=False) == 0.5


def test_a_roster_that_is_loaded_weighs_as_the_one_that_was_dumped() -> None:
    roster, other = Roster(), Roster()
    for number in range(4):
        roster.enrol(f"d{number}", 3 * number)
        roster.join(f"d{number}")
    other.load(roster.dump())
    assert other.live == 0
    assert other.share("d3", by_examples=True) == roster.share("d3", by_examples=True)
