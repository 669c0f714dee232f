"""When the target is reached: evaluations come late, and the model that is kept must be the one that was measured."""

from typing import Any

from coordinator_story import SIZE, Fleet, one, the

from thinwire.server.effects import Evaluate, Finished, Published
from thinwire.server.events import Evaluated
from thinwire.server.policy import Buffered


def watched(**rules: Any) -> Fleet:
    fleet = Fleet(policy=Buffered(1), evaluate=True, target_accuracy=0.9, patience=2, **rules)
    assert one(fleet.join("a"), Evaluate).version == 0
    return fleet


def test_one_evaluation_at_a_time_and_the_newest_model_next() -> None:
    fleet = watched()
    for _ in range(3):
        assert not the(fleet.delta("a"), Evaluate)
    due = one(fleet.happens(Evaluated(0, {"accuracy": 0.1})), Evaluate)
    assert (due.version, due.weights_P.tolist()) == (3, SIZE * [3.0])
    assert fleet.core.state.metrics == {"accuracy": 0.1}


def test_the_target_must_be_reached_again_and_again() -> None:
    fleet = watched()
    fleet.delta("a")
    assert not the(fleet.happens(Evaluated(0, {"accuracy": 0.95})), Finished)
    fleet.delta("a")
    fleet.happens(Evaluated(1, {"accuracy": 0.5}))
    fleet.delta("a")
    fleet.happens(Evaluated(2, {"accuracy": 0.95}))
    assert fleet.core.phase == "training"
    assert one(fleet.happens(Evaluated(3, {"accuracy": 0.95})), Finished) == Finished(
        3, "the target accuracy 0.9 is reached"
    )


def test_a_target_met_by_an_older_version_is_confirmed_on_the_newest_which_holds_still() -> None:
    fleet = watched()
    fleet.delta("a")
    fleet.happens(Evaluated(0, {"accuracy": 0.95}))
    fleet.delta("a")
    assert one(fleet.happens(Evaluated(1, {"accuracy": 0.95})), Evaluate).version == 2
    assert not the(fleet.delta("a"), Published), "it is being confirmed"
    assert one(fleet.happens(Evaluated(2, {"accuracy": 0.95})), Finished).version == 2


def test_a_target_that_was_met_is_confirmed_at_once_however_rare_evaluations_are() -> None:
    fleet = Fleet(policy=Buffered(1), evaluate=True, evaluate_every=3, target_accuracy=0.9, patience=1)
    fleet.join("a")
    fleet.delta("a")
    assert one(fleet.delta("a"), Evaluate).version == 2
    fleet.delta("a")
    assert one(fleet.happens(Evaluated(2, {"accuracy": 0.95})), Evaluate).version == 3
    assert one(fleet.happens(Evaluated(3, {"accuracy": 0.95})), Finished).version == 3


def test_a_confirmation_that_fails_lets_training_go_on_with_what_waited() -> None:
    fleet = watched()
    fleet.delta("a")
    fleet.happens(Evaluated(0, {"accuracy": 0.95}))
    fleet.delta("a")
    fleet.happens(Evaluated(1, {"accuracy": 0.95}))
    fleet.delta("a")
    effects = fleet.happens(Evaluated(2, {"accuracy": 0.1}))
    assert one(effects, Published).commit.version == 3


def test_an_evaluation_that_failed_counts_as_a_miss() -> None:
    fleet = watched()
    fleet.happens(Evaluated(0, {}))
    assert fleet.core.state.metrics == {}
    assert fleet.core.phase == "training"


def test_the_last_model_is_evaluated_too() -> None:
    fleet = watched(max_commits=1)
    fleet.happens(Evaluated(0, {"accuracy": 0.1}))
    effects = fleet.delta("a")
    assert the(effects, Finished)
    assert one(effects, Evaluate).version == 1
    assert fleet.happens(Evaluated(1, {"accuracy": 0.2})) == []


def test_evaluations_may_be_rarer_than_commits() -> None:
    fleet = Fleet(policy=Buffered(1), evaluate=True, evaluate_every=3)
    fleet.join("a")
    due = []
    for version in range(1, 10):
        for wanted in the(fleet.delta("a"), Evaluate):
            due.append(version)
            fleet.happens(Evaluated(wanted.version, {"accuracy": 0.1}))
    assert due == [2, 5, 8]
