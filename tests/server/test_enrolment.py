"""What is written of a device: a new account for a new name while there is room, nothing for what is known."""

import pytest
from journal_story import fresh_state

from thinwire.common.values import RefusalReason
from thinwire.server import entries
from thinwire.server.effects import Refused
from thinwire.server.enrolment import Enrolment
from thinwire.server.state import RunState


@pytest.fixture
def state() -> RunState:
    return fresh_state()


@pytest.fixture
def enrolment(state: RunState) -> Enrolment:
    """There is room for two names."""
    return Enrolment(state, max_known=2)


def test_a_name_that_is_known_needs_no_room(enrolment: Enrolment) -> None:
    for device in ("oak", "elm"):
        assert enrolment.refuse_name(device) is None
        enrolment.begin(device, "", 0.0)
    refused = enrolment.refuse_name("ash")
    assert refused is not None
    assert refused.reason is RefusalReason.FULL
    assert enrolment.refuse_name("oak") is None


def test_without_a_bound_there_is_room_for_any_number(state: RunState) -> None:
    enrolment = Enrolment(state, max_known=0)
    for number in range(100):
        assert enrolment.refuse_name(f"device-{number}") is None
        enrolment.begin(f"device-{number}", "", 0.0)


def test_each_new_account_of_a_device_has_the_next_epoch_and_says_why(enrolment: Enrolment, state: RunState) -> None:
    assert enrolment.begin("oak", "", 0.0) == entries.Greeted(device="oak", epoch=1, lost="")
    assert enrolment.begin("oak", "its disk", 0.0) == entries.Greeted(device="oak", epoch=2, lost="its disk")
    row = state.ledger.row("oak")
    assert row is not None
    assert row.epoch == 2


def test_what_is_known_of_a_member_is_not_written_again(enrolment: Enrolment, state: RunState) -> None:
    assert enrolment.join("oak", 5, 0.0) == entries.Joined(device="oak", examples=5)
    assert enrolment.join("oak", 5, 0.0) is None
    assert enrolment.join("oak", 6, 0.0) == entries.Joined(device="oak", examples=6)
    assert state.roster.members["oak"].examples == 6


def test_who_is_written_of_too_often_is_refused_for_a_while_and_nothing_changes(
    enrolment: Enrolment, state: RunState
) -> None:
    enrolment.join("oak", 0, 0.0)
    answers = [enrolment.join("oak", examples, 0.0) for examples in range(1, 40)]
    held_up = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(held_up) == 39 - 32
    assert held_up[0].reason is RefusalReason.RATE_LIMITED
    assert state.roster.members["oak"].examples == 32
    assert isinstance(enrolment.join("oak", 99, held_up[0].retry_after_s), entries.Joined)
