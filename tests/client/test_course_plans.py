"""What a plan may ask of a course beyond the usual: when to wait, when to rebase, and which corrections."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from course_story import PLAN, SIZE, Heard

from thinwire.common import frames
from thinwire.common.codec import ValueCode
from thinwire.common.errors import TaskError
from thinwire.trainer.corrections import Drift, Mix, Taylor
from thinwire.trainer.replica import Replica


def story(**plan: Any) -> Heard:
    heard = Heard(**plan)
    heard.base()
    heard.said.clear()
    return heard


def replanned(heard: Heard, **changes: Any) -> None:
    heard.course.obey(frames.Replan(plan={**asdict(heard.course.plan), **changes}), b"")


def test_who_rebases_at_the_cut_lets_commits_wait_until_then() -> None:
    heard = story(rebase="at-cut")
    heard.steps(1)
    heard.commit(0, value=10.0)
    assert heard.take(frames.Applied) == []
    heard.steps(1)
    assert heard.learner.weights_P.tolist() == SIZE * [2.0]
    heard.steps(1)
    assert heard.take(frames.Applied) == [(frames.Applied(version=1), b"")]
    assert heard.learner.weights_P.tolist() == SIZE * [11.5], "the commit, and half of three pending steps"


def test_between_two_rounds_a_commit_is_taken_at_once() -> None:
    heard = story(rebase="at-cut")
    heard.steps(3)
    heard.commit(0, value=10.0)
    assert heard.learner.weights_P.tolist() == SIZE * [11.5]


def test_a_full_window_never_waits_for_a_cut_that_only_a_commit_can_bring() -> None:
    heard = story(rebase="at-cut", window=1)
    heard.steps(3 + 2)
    heard.commit(0, value=10.0, through=1)
    heard.steps(1)
    assert heard.course.replica.version == 1
    heard.steps(1)
    assert heard.course.cuts == 2


def test_the_end_is_not_put_off() -> None:
    heard = story(rebase="at-cut")
    heard.steps(1)
    heard.course.obey(frames.Conclude(version=2), b"")
    heard.commit(0)
    heard.commit(1)
    assert heard.course.replica.version == 2
    assert not heard.course.may_train


def test_who_waits_for_outcomes_goes_on_from_the_version_that_came_of_the_delta() -> None:
    heard = story(overlap=False, waits_for="outcome", omega=0.0)
    heard.steps(3)
    assert not heard.course.may_train
    heard.course.obey(frames.Accepted(seq=1, version=1), b"")
    assert not heard.course.may_train
    heard.commit(0, value=10.0)
    assert heard.course.may_train
    assert heard.learner.weights_P.tolist() == SIZE * [10.0]
    assert list(heard.course.replica.pending) == [1], "it is not in the model yet"


@pytest.mark.parametrize(
    "answer",
    [frames.Accepted(seq=1, version=0), frames.Rejection(seq=1, refund=True)],
    ids=["accepted", "rejected"],
)
def test_any_outcome_ends_the_wait(answer: frames.Accepted | frames.Rejection) -> None:
    heard = story(overlap=False, waits_for="outcome")
    heard.steps(3)
    heard.course.obey(answer, b"")
    assert heard.course.may_train


@pytest.mark.parametrize("name", ["residual", "merge", "selection", "waits_for", "rebase", "optimizer", "values"])
def test_a_plan_of_a_newer_coordinator_is_refused_in_words(name: str) -> None:
    with pytest.raises(TaskError, match=f"{name} 'sideways'; this trainer knows only .* install the coordinator's"):
        Heard(**{name: "sideways"})
    heard = story()
    with pytest.raises(TaskError):
        replanned(heard, **{name: "sideways"})


IMPOSSIBLE = {
    "density": (0.0, float("nan"), 1.5), "local_steps": (0,), "window": (0,), "omega": (-0.5, 2.0, float("nan")),
    "server_gain": (0.0, float("inf")), "learning_rate": (0.0, float("nan")), "momentum": (-1.0,),
    "taylor": (float("nan"),), "drift": (float("inf"),), "mix": (7.0,), "proximal": (-1.0,), "max_delta_bytes": (0,),
}  # fmt: skip


@pytest.mark.parametrize(("name", "figure"), [(name, one) for name, some in IMPOSSIBLE.items() for one in some])
def test_a_plan_with_which_nobody_can_train_is_refused_in_words(name: str, figure: float) -> None:
    heard = story()
    with pytest.raises(TaskError, match=f"plan has {name} {figure}, with which nobody can train"):
        replanned(heard, **{name: figure})


def test_factor_masking_clears_momentum_where_the_delta_is() -> None:
    heard = story(mask_momentum=True, density=0.5)
    heard.steps(3)
    assert heard.learner.damped == [0, 1, 2]


def test_a_proximal_pull_is_own_work() -> None:
    """From 0, W = 0, with eta = 1 and mu = 1/2: each step adds 1 and takes half of where it began."""
    heard = story(proximal=0.5)
    heard.steps(2)
    assert heard.learner.weights_P.tolist() == SIZE * [1.5]
    heard.steps(1)
    assert heard.course.replica.pending[1].value_K.tolist() == SIZE * [1.75]


def based(**set_to: Any) -> Replica:
    replica = Replica(np.zeros(4, np.float32), 1.0)
    for name, value in set_to.items():
        setattr(replica, name, value)
    replica.rebase_on(np.zeros(4, np.float32), 0, through=0)
    return replica


def test_what_is_private_stays_in_the_model_and_is_never_offered_again() -> None:
    replica = based(residual="private")
    replica.working_P += np.array([4, 3, 2, 1], np.float32)
    assert replica.cut(0.5, ValueCode.FP32, 1).index_K.tolist() == [0, 1]
    replica.working_P += np.array([0, 0, 0.5, 0], np.float32)
    cut = replica.cut(0.25, ValueCode.FP32, 2)
    assert (cut.index_K.tolist(), cut.quantised.value_K.tolist()) == ([2], [0.5])
    assert np.abs(replica.working_P - [4, 3, 2.5, 1]).max() == 0


def drifted(delay: int, strength: float = 1.0, memory: float = 0.0) -> Replica:
    """A commit that says 1 where the own delta said 3, after so many steps in rounds of two."""
    replica = based(corrections=(Drift(4, strength, memory, 2),))
    replica.working_P += 3
    replica.cut(1.0, ValueCode.FP32, steps=2)
    replica.advance(0, np.arange(4), np.ones(4, np.float32), None, through=1, steps=2 + delay)
    return replica


@pytest.mark.parametrize(("delay", "part"), [(0, -1.0), (4, -1.0), (5, 0.0)])
def test_drift_is_learned_within_two_rounds_of_delay_and_forgotten_beyond(delay: int, part: float) -> None:
    """B = 1 - 3 a round, and half of it a step."""
    replica = drifted(delay)
    assert replica.working_P.tolist() == 4 * [1.0]
    replica.begin_step()
    replica.end_step()
    assert replica.working_P.tolist() == 4 * [1.0 + part]
    assert not replica.unsent(slice(None)).any(), "none of it is own work"


@pytest.mark.parametrize(("delay", "learned"), [(16, True), (17, False)])
def test_a_weak_drift_correction_that_remembers_learns_over_more_rounds(delay: int, learned: bool) -> None:
    replica = drifted(delay, strength=0.25, memory=0.9)
    replica.begin_step()
    replica.end_step()
    assert (replica.working_P < 1.0).tolist() == 4 * [learned]


def test_drift_is_kept_over_cuts_for_each_pending_round() -> None:
    replica = drifted(0)
    for _ in range(2):
        for _ in range(2):
            replica.begin_step()
            replica.end_step()
        replica.cut(1.0, ValueCode.FP32, steps=4)
    assert replica.working_P.tolist() == 4 * [1.0 - 2 * 2.0]
    assert all(not delta.value_K.any() for delta in replica.pending.values())


@pytest.mark.parametrize("how", ["of an earlier trainer", "from before a snapshot"])
def test_the_taylor_term_forgets_with_an_acknowledgement_whose_steps_it_does_not_know(how: str) -> None:
    replica, everything = based(corrections=(Taylor(4, 1.0, 1.0),)), np.arange(4)
    if how == "of an earlier trainer":
        replica.adopt(1, everything, np.ones(4, np.float32), steps=0)
    else:
        replica.working_P += 1
        replica.cut(1.0, ValueCode.FP32, steps=1)
        replica.rebase_on(np.zeros(4, np.float32), 0, through=0)
    replica.advance(0, everything, np.full(4, 8, np.float32), None, through=1, steps=1)
    replica.cut(1.0, ValueCode.FP32, steps=2)
    replica.begin_step()
    replica.working_P += 1
    replica.end_step()
    replica.advance(1, everything, np.zeros(4, np.float32), None, through=2, steps=3)
    assert replica.unsent(slice(None)).tolist() == 4 * [1.0], "nobody else did anything since the last one"


def test_mixing_gives_up_part_of_what_was_done_meanwhile() -> None:
    replica = based(corrections=(Mix(0.25),))
    replica.working_P += 4
    replica.cut(1.0, ValueCode.FP32, steps=1)
    replica.working_P += 4
    replica.advance(0, np.arange(4), np.full(4, 2, np.float32), None, through=1, steps=2)
    assert replica.working_P.tolist() == 4 * [0.25 * 8 + 0.75 * 2]
    assert replica.unsent_P.tolist() == 4 * [0.25 * (8 - 2)]


def test_the_usual_plan_has_no_corrections_at_all() -> None:
    assert story(**asdict(PLAN)).course.replica.corrections == ()
