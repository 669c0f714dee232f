"""The coordinator's decisions, told story by story: events in, effects out."""

import hashlib
from typing import Any, TypeVar

import numpy as np
import pytest

from thinwire.common.codec import Packet, ValueCode, pack, quantise
from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.values import RejectReason, Sealed, Verdict
from thinwire.server.admit import Admission
from thinwire.server.core import (
    CoordinatorCore,
    DeltaSealed,
    Effect,
    Evaluate,
    Evaluated,
    Finished,
    Greeted,
    Left,
    Opened,
    Published,
    Recognised,
    Refused,
    Rules,
    Settled,
    Subscribed,
    Tick,
)
from thinwire.server.model import GlobalModel
from thinwire.server.policy import Buffered, Sync

SIZE = 4
LAYOUT = Layout((TensorSpec("w", (SIZE,)),))
E = TypeVar("E")


def payload(value: float = 1.0, base: int = 0) -> bytes:
    quantised = quantise(np.full(SIZE, value, np.float32), ValueCode.FP32)
    return pack(Packet(LAYOUT.hash, base, SIZE, np.arange(SIZE), quantised))


class Fleet:
    """A core, and devices that are nothing but names."""

    def __init__(self, **rules: Any) -> None:
        usual: dict[str, Any] = {
            "policy": Buffered(2), "density_down": 1.0, "values_down": ValueCode.FP32, "evaluate": False,
            "denominator": "all",
        }  # fmt: skip
        model = GlobalModel(LAYOUT, Layout(()), np.zeros(SIZE, np.float32), np.zeros(0, np.float32))
        admission = Admission(layout=LAYOUT, buffer_layout=Layout(()), max_kept=SIZE, max_bytes=1000, max_staleness=2)
        self.core = CoordinatorCore(Rules(**{**usual, **rules}), model, admission)
        self.now = 0.0
        self.sent: dict[str, int] = {}

    def happens(self, *events: Any) -> list[Effect]:
        return [effect for event in events for effect in self.core.handle(event, self.now)]

    def join(self, *devices: str) -> list[Effect]:
        return [effect for name in devices for effect in self.happens(Greeted(name, 0), Subscribed(name, 1))]

    def delta(
        self, device: str, value: float = 1.0, *, seq: int = 0, epoch: int = 1, base: int | None = None
    ) -> list[Effect]:
        """The device's next delta, or the one with this number."""
        seq = seq or self.sent.get(device, 0) + 1
        self.sent[device] = max(seq, self.sent.get(device, 0))
        body = payload(value, self.core.model.version if base is None else base)
        return self.happens(DeltaSealed(device, epoch, seq, hashlib.sha256(body).digest(), body))

    @property
    def weight(self) -> float:
        """The model is the same everywhere."""
        return float(self.core.model.weights_P[0])


def the(effects: list[Effect], kind: type[E]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def one(effects: list[Effect], kind: type[E]) -> E:
    (found,) = the(effects, kind)
    return found


def test_training_begins_once_with_enough_devices() -> None:
    fleet = Fleet(min_devices=2)
    assert not the(fleet.join("a"), Opened)
    assert "1 of 2 devices" in fleet.core.status()
    assert the(fleet.join("b"), Opened)
    fleet.happens(Left("a"), Left("b"))
    assert not the(fleet.happens(Subscribed("a", 1)), Opened)
    assert fleet.core.phase == "training"


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


def test_a_conflict_in_a_greeting_is_refused() -> None:
    fleet = Fleet()
    fleet.join("a")
    fleet.delta("a")
    assert "other bytes" in one(fleet.happens(Greeted("a", 1, (Sealed(1, bytes(32)),))), Refused).message


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


# -- evaluation -----------------------------------------------------------------------------------------------------


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
    assert fleet.core.metrics == {"accuracy": 0.1}


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
    assert fleet.core.metrics == {}
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
