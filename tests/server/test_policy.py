"""When a buffer becomes a commit: tables of what is there, and what the policy says."""

import pytest

from thinwire.server.policy import Buffered, BufferView, Sync, commit_policy


@pytest.mark.parametrize(
    ("size", "count", "ready"), [(1, 0, False), (1, 1, True), (3, 2, False), (3, 3, True), (3, 9, True)]
)
def test_buffered_counts_deltas_whoever_sent_them(size: int, count: int, ready: bool) -> None:
    policy = Buffered(size)
    view = BufferView(count, contributors=min(count, 1), live=5, opened_at=0.0)
    assert policy.ready(view, now=1e9) is ready
    assert policy.deadline(view) is None
    assert policy.waits_for(view) == f"{count} of {size} deltas are in the buffer"


@pytest.mark.parametrize(
    ("count", "live", "ready"),
    [
        pytest.param(3, 2, False, id="one of the two can send one more"),
        pytest.param(4, 2, True, id="both have sent all that they may"),
        pytest.param(5, 4, False, id="four can fill it"),
        pytest.param(5, 0, False, id="nobody there: whoever comes back goes on"),
    ],
)
def test_a_buffer_that_those_who_are_left_cannot_fill_is_full(count: int, live: int, ready: bool) -> None:
    """They would wait for its commit for ever, as their windows are full."""
    view = BufferView(count, contributors=live, live=live, opened_at=0.0)
    assert Buffered(6, window=2).ready(view, now=0.0) is ready


@pytest.mark.parametrize(
    ("count", "contributors", "live", "now", "ready"),
    [
        pytest.param(4, 4, 4, 1.0, True, id="all have answered"),
        pytest.param(3, 3, 4, 109.9, False, id="one is missing, in time"),
        pytest.param(2, 2, 4, 110.0, True, id="the deadline is here, with half of them"),
        pytest.param(1, 1, 4, 110.0, False, id="late, but fewer than half"),
        pytest.param(9, 1, 4, 110.0, False, id="many deltas of one device are one answer"),
        pytest.param(0, 0, 4, 500.0, False, id="nothing to commit"),
        pytest.param(0, 0, 0, 500.0, False, id="nobody there"),
        pytest.param(1, 1, 0, 1.0, True, id="all have gone, one had answered"),
        pytest.param(3, 3, 2, 1.0, True, id="one has gone after it had answered"),
        pytest.param(2, 2, 3, 110.0, True, id="half of three is two"),
    ],
)
def test_a_round_waits_for_all_and_after_the_deadline_for_a_quorum(
    count: int, contributors: int, live: int, now: float, ready: bool
) -> None:
    policy = Sync(quorum=0.5, deadline_s=100.0)
    assert policy.ready(BufferView(count, contributors, live, opened_at=10.0), now) is ready


def test_a_round_has_a_deadline_once_it_has_an_answer() -> None:
    policy = Sync(0.5, 100.0)
    assert policy.deadline(BufferView(0, 0, 4, 10.0)) is None
    assert policy.deadline(BufferView(1, 1, 4, 10.0)) == 110.0


def test_a_round_says_who_is_missing() -> None:
    assert Sync(0.5, 1.0).waits_for(BufferView(1, 1, 4, 0.0)) == (
        "1 of 4 devices have answered; 2 at the deadline will do"
    )


@pytest.mark.parametrize(
    ("mode", "policy"), [("sync", Sync(0.7, 9.0)), ("buffered", Buffered(5)), ("async", Buffered(1))]
)
def test_a_mode_names_a_policy(mode: str, policy: object) -> None:
    assert commit_policy(mode, buffer=5, quorum=0.7, deadline_s=9.0) == policy
