"""Claims that the coordinator was set back: one liar holds no fleet, and a crowd of made-up names no memory."""

import pytest

from thinwire.server import greeting
from thinwire.server.events import Greeted
from thinwire.server.greeting import Doubts


def test_one_liar_holds_a_fleet_of_two_but_not_of_three() -> None:
    doubts = Doubts()
    doubts.claim(Greeted("liar", 1, version=1 << 63))
    doubts.withdraw("oak")
    assert doubts.grave
    doubts.withdraw("elm")
    assert not doubts.grave


def test_so_many_claims_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "MOST_CLAIMS", 3)
    doubts = Doubts()
    for number in range(10):
        doubts.claim(Greeted(f"made-up-{number}", 1, version=number))
    doubts.claim(Greeted("made-up-0", 1, version=5))
    assert "3 devices" in doubts.words(1)
    assert "up to version 5" in doubts.words(1)
