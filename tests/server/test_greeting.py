"""Who greets: the device that the ledger knows, one that has lost its store, or one that knows more than the ledger."""

import hashlib

import pytest
from coordinator_story import Fleet, one, payload, the

from thinwire.common.values import RefusalReason, Sealed
from thinwire.server.effects import Published, Recognised, Refused, Settled
from thinwire.server.events import Greeted


def sealed(seq: int, value: float = 1.0, base: int = 0) -> Sealed:
    return Sealed(seq, hashlib.sha256(payload(value, base)).digest())


@pytest.fixture
def fleet() -> Fleet:
    """Two devices; the first has two deltas settled in epoch 1, and the model is at version 1."""
    fleet = Fleet()
    fleet.join("oak", "elm")
    fleet.delta("oak")
    fleet.delta("oak", base=0)
    return fleet


def knowing(device: str = "oak", **more: object) -> Greeted:
    """Everything up to date, but for what is said."""
    usual = {"epoch": 1, "sealed_through": 2, "settled_through": 2, "version": 1, "leader_epoch": 1}
    return Greeted(device, **{**usual, **more})  # type: ignore[arg-type]


def test_a_device_that_knows_what_is_known_of_it_goes_on(fleet: Fleet) -> None:
    recognised = one(fleet.happens(knowing()), Recognised)
    assert (recognised.epoch, recognised.lost) == (1, "")


def test_a_device_that_missed_its_outcomes_is_told_them(fleet: Fleet) -> None:
    greeting = knowing(settled_through=0, version=0, unsettled=(sealed(1), sealed(2), sealed(3)), sealed_through=3)
    recognised = one(fleet.happens(greeting), Recognised)
    assert [outcome.seq for outcome in recognised.outcomes] == [1, 2]


STORES_SET_BACK = {
    "sealed less than was settled here": ({"sealed_through": 1, "settled_through": 1}, "it was restored"),
    "says nothing of its seals": ({"sealed_through": 0, "settled_through": 0}, "it was restored"),
    "other bytes under a settled number": ({"unsettled": (sealed(2, 7.0),), "settled_through": 1}, "was copied"),
}


@pytest.mark.parametrize("store", STORES_SET_BACK)
def test_a_device_whose_store_was_set_back_or_copied_begins_a_new_epoch(fleet: Fleet, store: str) -> None:
    differs, words = STORES_SET_BACK[store]
    recognised = one(fleet.happens(knowing(**differs)), Recognised)
    assert recognised.epoch == 2
    assert words in recognised.lost
    # What it seals now is number 1 of another account; what the old store still sends is not taken.
    fleet.sent.clear()
    assert one(fleet.delta("oak", epoch=2), Settled).outcome.seq == 1
    assert the(fleet.delta("oak", seq=3, epoch=1), Settled) == []


def test_a_device_of_an_epoch_that_is_over_begins_a_new_one(fleet: Fleet) -> None:
    fleet.happens(knowing(sealed_through=0, settled_through=0))
    recognised = one(fleet.happens(knowing()), Recognised)
    assert recognised.epoch == 3
    assert "earlier epoch" in recognised.lost


def test_a_device_without_a_store_of_this_lineage_is_new(fleet: Fleet) -> None:
    assert one(fleet.happens(Greeted("ash", 0)), Recognised) == Recognised("ash", 1, ())


KNOWS_MORE = {
    "a later version": {"version": 9},
    "a later leader": {"leader_epoch": 2},
    "outcomes that are not here": {"sealed_through": 5, "settled_through": 5},
    "a later epoch": {"epoch": 2, "sealed_through": 0, "settled_through": 0},
}


@pytest.mark.parametrize("what", KNOWS_MORE)
def test_a_device_that_knows_more_is_refused_and_told_why(fleet: Fleet, what: str) -> None:
    refused = one(fleet.happens(knowing(**KNOWS_MORE[what])), Refused)
    assert refused.reason is RefusalReason.STATE_REGRESSED
    assert "restored from an older backup" in refused.message
    assert "thinwire rollback STATE_DIR --to 1" in refused.message


def test_a_device_that_is_not_in_the_ledger_but_of_this_lineage_knows_more(fleet: Fleet) -> None:
    """It joined after the backup was made."""
    assert one(fleet.happens(knowing("ash", settled_through=0, version=0)), Refused)


def test_when_devices_know_more_the_training_holds_and_says_so_until_they_do_not(fleet: Fleet) -> None:
    fleet.happens(knowing("oak", version=9))
    assert fleet.core.set_back
    assert "up to version 9" in fleet.core.status()
    # Deltas of others are accepted, for that can be undone; nothing is published.
    effects = fleet.delta("elm") + fleet.delta("elm")
    assert len(the(effects, Settled)) == 2
    assert the(effects, Published) == []
    assert fleet.core.deadline is None
    # The device was only wrong about it: it comes back with another store.
    assert the(fleet.happens(Greeted("oak", 0)), Published)
    assert not fleet.core.set_back


def test_a_lone_liar_among_many_does_not_stop_the_others(fleet: Fleet) -> None:
    fleet.join("ash", "fir")
    fleet.happens(Greeted("elm", 1))
    assert one(fleet.happens(knowing("oak", version=10**9)), Refused)
    assert not fleet.core.set_back
    assert the(fleet.delta("ash") + fleet.delta("ash"), Published)


def test_the_first_to_come_back_after_a_restore_is_believed_until_others_contradict(fleet: Fleet) -> None:
    fleet.happens(knowing("oak", version=9))
    assert fleet.core.set_back
    fleet.happens(Greeted("elm", 0))
    assert fleet.core.set_back, "one against one: whoever is right, going on could not be undone"
    fleet.happens(Greeted("ash", 0))
    assert not fleet.core.set_back
