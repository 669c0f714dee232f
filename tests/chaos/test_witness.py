"""What the witness of a simulation lets pass, and no longer does once a device has begun anew."""

import random

import numpy as np
import pytest

from thinwire.common.layout import Layout, TensorSpec
from thinwire.sim.agenda import Agenda
from thinwire.sim.clock import Clock
from thinwire.sim.lives import EPOCHS
from thinwire.sim.tokens import purses
from thinwire.sim.violation import ViolationError
from thinwire.sim.witness import Witness

OLD, NEW = b"o" * 16, b"n" * 16


@pytest.fixture
def witness() -> Witness:
    (purse,) = purses(8, 1, 3, random.Random(0))
    purse.spend()
    return Witness(Layout((TensorSpec("w", (8,)),)), {"device-0": purse}, OLD)


def test_other_bytes_under_a_number_pass_only_in_the_life_in_which_the_disk_was_exchanged(witness: Witness) -> None:
    witness.exchanged("device-0", {1})
    witness.lives.said("device-0", 1, 5, b"a")
    witness.lives.said("device-0", 1, 5, b"b")
    witness.lives.said("device-0", 2, 5, b"a")
    with pytest.raises(ViolationError, match="other bytes"):
        witness.lives.said("device-0", 2, 5, b"b")


def test_what_a_device_held_before_it_began_anew_may_not_come_back_once_that_is_safe(witness: Witness) -> None:
    born_P = witness.accounts["device-0"].purse.born_P
    witness.cast_doubt("device-0")
    np.testing.assert_array_equal(witness.accounts["device-0"].void_P, born_P)
    witness.settle_doubt("device-0")
    np.testing.assert_array_equal(witness.accounts["device-0"].forgotten_P, born_P)
    with pytest.raises(ViolationError, match="an older disk gives back"):
        witness.accounts["device-0"].claim(born_P)


def test_a_life_is_given_a_second_time_only_by_a_coordinator_that_was_set_back(witness: Witness) -> None:
    backup = witness.book.copy()
    witness.lives.begin("device-0", 2)
    witness.put_back(backup)
    witness.lives.begin("device-0", 2)
    witness.rolled_back(0, NEW)
    witness.lives.begin("device-0", EPOCHS + 1)
    with pytest.raises(ViolationError, match="a second time"):
        witness.lives.begin("device-0", EPOCHS + 1)


def test_a_clock_goes_back_to_what_it_said_at_its_start_and_no_further() -> None:
    agenda = Agenda()
    clock = Clock(agenda)
    clock.start(100.0)
    agenda.at(5.0, lambda: None)
    agenda.step(10.0)
    clock.leap(-3.0)
    assert clock.now(None) == pytest.approx(102.0)
    clock.leap(-60.0)
    assert clock.now(None) == pytest.approx(100.0)
    clock.start(-1000.0)
    assert clock.now(None) == 0.0
