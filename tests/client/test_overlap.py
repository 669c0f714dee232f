"""How much of the sending hid behind computing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinwire.client.overlap import OverlapMeter


def test_time_counts_from_one_note_to_the_next() -> None:
    meter = OverlapMeter()
    meter.note(10.0, transferring=True, computing=True)
    meter.note(14.0, transferring=True, computing=False)
    meter.note(15.0, transferring=False, computing=True)
    meter.note(99.0, transferring=True, computing=True)
    assert (meter.transfer_s, meter.hidden_s) == (5.0, 4.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.booleans())))
def test_no_more_is_hidden_than_was_sent(changes: list[tuple[float, bool, bool]]) -> None:
    meter, now = OverlapMeter(), 0.0
    for wait_s, transferring, computing in changes:
        now += wait_s
        meter.note(now, transferring=transferring, computing=computing)
    assert 0.0 <= meter.hidden_s <= meter.transfer_s <= now + 1e-9


def test_notes_without_change_change_nothing() -> None:
    often, rarely = OverlapMeter(), OverlapMeter()
    for step in range(11):
        often.note(step / 10, transferring=True, computing=True)
    rarely.note(0.0, transferring=True, computing=True)
    rarely.note(1.0, transferring=True, computing=True)
    assert often.hidden_s == pytest.approx(rarely.hidden_s)
