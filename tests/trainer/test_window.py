"""Which own deltas are under way: a window is full, and a trainer without overlap waits, for one of two reasons."""

from __future__ import annotations

import pytest

from thinwire.common.values import Plan
from thinwire.trainer.window import Window

BY_COMMIT = Plan(window=2)
BY_OUTCOME = Plan(window=2, waits_for="outcome")


@pytest.fixture
def window() -> Window:
    """Two deltas are sealed; neither has an outcome."""
    window = Window()
    window.seal(1)
    window.seal(2)
    return window


def test_a_window_of_commits_is_full_whatever_was_answered_until_the_base_holds_one(window: Window) -> None:
    window.accept(1, 0)
    assert not window.has_room(BY_COMMIT, pending=2)
    assert window.has_room(BY_COMMIT, pending=1)


def test_a_window_of_outcomes_has_room_at_the_first_though_no_commit_has_come(window: Window) -> None:
    assert not window.has_room(BY_OUTCOME, pending=2)
    window.accept(1, 0)
    assert window.has_room(BY_OUTCOME, pending=2)


def test_who_waits_for_commits_waits_for_all_of_its_own(window: Window) -> None:
    assert window.holds(BY_COMMIT, pending=1, version=9)
    assert not window.holds(BY_COMMIT, pending=0, version=9)


def test_who_waits_for_outcomes_goes_on_from_the_newest_version_that_came_of_its_deltas(window: Window) -> None:
    window.accept(2, 5)
    window.accept(1, 4)
    assert window.holds(BY_OUTCOME, pending=2, version=4)
    assert not window.holds(BY_OUTCOME, pending=2, version=5)


def test_a_delta_that_was_rejected_or_is_in_the_base_is_waited_for_no_more(window: Window) -> None:
    window.reject(2)
    assert window.holds(BY_OUTCOME, pending=1, version=0)
    window.include(1)
    assert not window.holds(BY_OUTCOME, pending=1, version=0)


def test_what_is_in_the_base_says_nothing_of_later_deltas(window: Window) -> None:
    window.include(1)
    assert window.holds(BY_OUTCOME, pending=1, version=0)
