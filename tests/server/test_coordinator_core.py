"""The coordinator's decisions, told story by story: events in, effects out."""

import hashlib
from typing import Any

import pytest
from coordinator_story import Fleet, one, payload, the

from thinwire.common.values import RejectReason, Sealed, Verdict
from thinwire.server.effects import Finished, Opened, Published, Recognised, Refused, Settled
from thinwire.server.events import Greeted, Left, Subscribed, Tick
from thinwire.server.policy import Buffered, Sync


def test_training_begins_once_with_enough_devices() -> None:
    fleet = Fleet(min_devices=2)
    assert not the(fleet.join("a"), Opened)
    assert "1 of 2 devices" in fleet.core.status()
    assert the(fleet.join("b"), Opened)
    fleet.happens(Left("a"), Left("b"))
    assert not the(fleet.happens(Subscribed("a", 1)), Opened)
    assert fleet.core.phase == "training"


def test_before_it_begins_no_delta_is_taken_for_nobody_knows_what_it_would_count_for() -> None:
    """A device may have trained before the coordinator was set back to its first moments."""
    fleet = Fleet(min_devices=2, policy=Buffered(1))
    fleet.join("a")
    outcome = one(fleet.delta("a", 8.0), Settled).outcome
    assert (outcome.verdict, outcome.refund) == (Verdict.REJECTED, True)
    fleet.join("b")
    assert one(fleet.delta("a", 8.0), Settled).outcome.verdict is Verdict.ACCEPTED
    assert fleet.weight == 4.0


def test_deltas_fold_by_share_into_one_commit_that_says_what_it_holds() -> None:
    fleet = Fleet(min_devices=2, weights="examples")
    fleet.happens(Greeted("a", 0), Subscribed("a", 1), Greeted("b", 0), Subscribed("b", 3))
    assert one(fleet.delta("a", 8.0), Settled).outcome.verdict is Verdict.ACCEPTED
    commit = one(fleet.delta("b", 4.0), Published).commit
    assert fleet.weight == 8.0 * 0.25 + 4.0 * 0.75
    assert (commit.version, commit.folded, commit.through) == (1, 2, {"a": (1, 1), "b": (1, 1)})
    assert one(fleet.delta("a") + fleet.delta("a"), Published).commit.through == {"a": (1, 3)}


def test_a_settled_delta_comes_before_the_commit_that_holds_it() -> None:
    fleet = Fleet(policy=Buffered(1))
    fleet.join("a")
    assert [type(effect) for effect in fleet.delta("a")] == [Settled, Published]


def test_a_repeated_delta_gets_its_first_outcome_and_counts_once() -> None:
    fleet = Fleet()
    fleet.join("a")
    first = one(fleet.delta("a", 2.0, base=0), Settled)
    again = one(fleet.delta("a", 2.0, seq=1, base=0), Settled)
    assert (first.repeated, again.repeated, again.outcome) == (False, True, first.outcome)
    fleet.delta("a", 3.0)
    assert fleet.weight == 5.0


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"seq": 3}, "3 came, but 2 is next"),
        ({"seq": 1, "value": 9.0}, "other bytes"),
        ({"epoch": 2}, "epoch 2"),
        ({"device": "stranger"}, "subscribed"),
    ],
)
def test_a_delta_that_cannot_be_is_refused_and_settles_nothing(how: dict[str, Any], message: str) -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.delta("a")
    refused = one(fleet.delta(**{"device": "a", **how}), Refused)
    assert message in refused.message
    assert fleet.core.ledger.next_seq("a") == 2


def test_a_greeting_recalls_outcomes_of_the_same_epoch_only() -> None:
    fleet = Fleet()
    fleet.join("a")
    body = payload()
    fleet.delta("a")
    asked = (Sealed(1, hashlib.sha256(body).digest()), Sealed(2, bytes(32)))
    recognised = one(fleet.happens(Greeted("a", 1, asked)), Recognised)
    assert (recognised.epoch, [outcome.seq for outcome in recognised.outcomes]) == (1, [1])
    assert one(fleet.happens(Greeted("a", 0, asked)), Recognised) == Recognised("a", 2, ())


def test_a_copied_store_goes_on_under_an_epoch_of_its_own() -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.delta("a")
    recognised = one(fleet.happens(Greeted("a", 1, (Sealed(1, bytes(32)),))), Recognised)
    assert (recognised.epoch, recognised.outcomes) == (2, ())
    assert "other bytes" in recognised.lost


def test_a_rejected_delta_is_settled_and_fills_no_buffer() -> None:
    fleet = Fleet(policy=Buffered(1))
    fleet.join("a")
    for _ in range(3):
        fleet.delta("a")
    effects = fleet.delta("a", base=0)
    outcome = one(effects, Settled).outcome
    assert (outcome.verdict, outcome.reason, outcome.refund) == (Verdict.REJECTED, RejectReason.TOO_STALE, True)
    assert not the(effects, Published)
    member = fleet.core.roster.members["a"]
    assert (member.accepted, member.rejected) == (3, 1)
    assert one(fleet.delta("a"), Published).commit.through == {"a": (1, 5)}, "the rejected one is settled as well"


def test_staleness_is_counted_in_versions_and_may_weigh() -> None:
    fleet = Fleet(policy=Buffered(1), staleness="polynomial", staleness_power=1.0)
    fleet.join("a")
    fleet.delta("a", 1.0)
    assert one(fleet.delta("a", 1.0, base=0), Settled).staleness == 1
    assert fleet.weight == 1.5


def test_a_round_ends_when_all_have_answered_or_one_who_has_not_leaves() -> None:
    fleet = Fleet(policy=Sync(1.0, 60.0), min_devices=3)
    fleet.join("a", "b", "c")
    assert not the(fleet.delta("a") + fleet.delta("b"), Published)
    assert the(fleet.happens(Left("c")), Published)


def test_a_deadline_that_passes_without_a_quorum_waits_for_an_event() -> None:
    fleet = Fleet(policy=Sync(0.6, 60.0), min_devices=3)
    fleet.join("a", "b", "c")
    assert fleet.core.deadline is None
    fleet.now = 5.0
    fleet.delta("a")
    assert fleet.core.deadline == 60.0
    fleet.now = 60.0
    assert fleet.happens(Tick()) == []
    assert fleet.core.deadline is None, "asking again at once would not help"
    fleet.now = 70.0
    assert one(fleet.delta("b"), Published).commit.folded == 2
    assert fleet.core.status() == "0 of 3 devices have answered; 2 at the deadline will do"


def test_the_next_deadline_counts_from_the_last_commit() -> None:
    fleet = Fleet(policy=Sync(1.0, 60.0))
    fleet.join("a")
    fleet.now = 10.0
    fleet.delta("a")
    fleet.join("b")
    fleet.delta("a")
    assert fleet.core.deadline == 70.0


def test_the_asked_number_of_commits_ends_the_training() -> None:
    fleet = Fleet(policy=Buffered(1), max_commits=2)
    fleet.join("a")
    fleet.delta("a")
    effects = fleet.delta("a")
    assert one(effects, Finished) == Finished(2, "2 commits were asked for")
    late = one(fleet.delta("a"), Settled).outcome
    assert (late.reason, late.refund) == (RejectReason.FINISHED, False)
    assert fleet.core.deadline is None


def test_sums_that_overflow_end_the_training_and_publish_nothing() -> None:
    fleet = Fleet(policy=Buffered(2))
    fleet.join("a")
    fleet.delta("a", 3e38)
    effects = fleet.delta("a", 3e38)
    assert one(effects, Finished).reason.startswith("diverged")
    assert not the(effects, Published)
    assert fleet.core.model.version == 0


def test_outer_learning_rate_and_momentum_shape_the_step() -> None:
    fleet = Fleet(policy=Buffered(1), server_learning_rate=0.5, server_momentum=0.5)
    fleet.join("a")
    fleet.delta("a", 4.0)
    assert fleet.weight == 2.0
    fleet.delta("a", 4.0)
    assert fleet.weight == 2.0 + 0.5 * (4.0 + 2.0)
