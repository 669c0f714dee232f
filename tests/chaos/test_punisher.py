"""The punisher is fair, patient and the same for the same seed."""

import random
from collections import Counter

import pytest

from thinwire.chaos.punisher import COORDINATOR, PATIENCE_S, Fault, Kind, Punisher

DEVICES = ("ash", "elm", "oak")


def story(seed: int = 1, mtbf_s: float = 3.0, hours: float = 1.0, *, at_work: bool = True) -> list[tuple[float, Fault]]:
    """Every fault of a while, at a tick of a tenth of a second; the fleet gets on between any two, or never."""
    punisher = Punisher(DEVICES, mtbf_s, random.Random(seed))
    faults = []
    for tick in range(round(hours * 36000)):
        now = tick / 10
        punisher.relieve(now)
        faults += [(now, fault) for fault in punisher.strike(now, tick if at_work else 0)]
    return faults


def test_faults_come_as_often_as_asked_for() -> None:
    assert len(story(mtbf_s=3.0)) == pytest.approx(1200, rel=0.1)


def test_the_same_seed_strikes_the_same_at_the_same_time() -> None:
    assert story(5) == story(5)
    assert story(5) != story(6)


def test_every_kind_of_fault_and_every_victim_has_its_turn() -> None:
    faults = [fault for _, fault in story()]
    assert {fault.kind for fault in faults} == set(Kind)
    victims = Counter(fault.victim for fault in faults)
    assert set(victims) == {COORDINATOR, *DEVICES}
    assert victims[COORDINATOR] == pytest.approx(len(faults) / 3, rel=0.2)


def test_the_coordinator_has_neither_a_line_of_its_own_nor_a_trainer() -> None:
    assert {fault.kind for _, fault in story() if fault.victim == COORDINATOR} == {Kind.KILL, Kind.POWER, Kind.STOP}


def test_nobody_is_struck_while_down_and_everybody_is_helped_up_in_time() -> None:
    punisher = Punisher(DEVICES, 0.2, random.Random(1))
    down: dict[str, float] = {}
    for tick in range(20_000):
        now = tick / 10
        for fault in punisher.relieve(now):
            assert now >= down.pop(fault.victim)
        for fault in punisher.strike(now, tick):
            assert fault.victim not in down
            down[fault.victim] = now + fault.pause_s
        assert all(until > now - 0.1 for until in down.values())


def test_a_fault_waits_until_the_fleet_has_got_on() -> None:
    punisher = Punisher(DEVICES, 1.0, random.Random(1))
    assert not punisher.strike(0.0, 5)
    assert punisher.strike(15.0, 5)
    punisher.relieve(100.0)
    assert not punisher.strike(30.0, 5)
    assert punisher.strike(30.1, 6)
    assert punisher.counted.total() == 2
    assert not punisher.void


def test_a_fleet_that_stands_still_is_struck_at_last_and_it_does_not_count() -> None:
    faults = story(mtbf_s=1.0, hours=0.1, at_work=False)
    assert len(faults) == pytest.approx(360 / (PATIENCE_S + 1), rel=0.2)
    punisher = Punisher(DEVICES, 1.0, random.Random(1))
    punisher.strike(0.0, 0)
    assert punisher.strike(1000.0, 0)
    assert punisher.kills == 0
    assert punisher.void.total() == 1
