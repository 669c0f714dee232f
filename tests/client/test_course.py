"""A trainer's course: when it steps, cuts and waits, and what it answers to each frame."""

from dataclasses import asdict

import numpy as np
import pytest
from course_story import BUFFERS, LAYOUT, PLAN, SIZE, Heard

from thinwire.common import checksum, frames
from thinwire.common.codec import Limits, unpack
from thinwire.common.errors import TaskError
from thinwire.common.statistics import pack_statistics, unpack_statistics


@pytest.fixture
def heard() -> Heard:
    heard = Heard()
    heard.base()
    heard.said.clear()
    return heard


def test_it_introduces_itself_and_waits_for_a_model() -> None:
    heard = Heard()
    ready, _ = heard.take(frames.Ready)[0]
    assert (ready.layout_hash, ready.parameters, ready.examples) == (LAYOUT.hash.hex(), SIZE, 4)
    assert not heard.course.may_train
    heard.base(5)
    assert heard.take(frames.Applied) == [(frames.Applied(version=5), b"")]
    assert heard.course.may_train


def test_it_cuts_after_its_local_steps_with_statistics_behind_the_delta(heard: Heard) -> None:
    heard.steps(2)
    assert heard.take(frames.SealedFrame) == []
    heard.steps(1)
    (frame, body) = heard.take(frames.SealedFrame)[0]
    assert (frame.seq, frame.steps, frame.loss) == (1, 3, 2.0)
    split = len(body) - frame.buffer_bytes
    delta = unpack(body[:split], Limits(LAYOUT.hash, SIZE, SIZE))
    assert (delta.base, delta.value_K.tolist()) == (0, SIZE * [3.0])
    assert unpack_statistics(body[split:], BUFFERS).tolist() == [3, 3]


def test_it_tells_the_energy_of_all_that_it_could_have_sent() -> None:
    heard = Heard(density=2 / SIZE)
    heard.base()
    heard.steps(3)
    heard.steps(3)
    first, second = (frame for frame, _ in heard.take(frames.SealedFrame))
    assert first.energy == SIZE * 3.0**2
    # Two coordinates went with the first; the others have what it left and as much again.
    assert second.energy == 2 * 3.0**2 + (SIZE - 2) * 6.0**2


def test_with_a_full_window_it_trains_on_into_the_next_delta(heard: Heard) -> None:
    heard.steps(20)
    assert [frame.seq for frame, _ in heard.take(frames.SealedFrame)] == [1, 2]
    heard.commit(0, through=1)
    heard.steps(1)
    (frame, _body) = heard.take(frames.SealedFrame)[0]
    assert (frame.seq, frame.steps) == (3, 15)


def test_without_overlap_it_waits_for_its_commit() -> None:
    heard = Heard(overlap=False)
    heard.base()
    heard.steps(3)
    assert not heard.course.may_train
    assert heard.course.under_way, "waiting for the network is not being done"
    heard.commit(0, through=0)
    assert not heard.course.may_train, "that commit was of others"
    heard.commit(1, through=1)
    assert heard.course.may_train


def test_without_overlap_a_rejection_frees_it_too() -> None:
    heard = Heard(overlap=False)
    heard.base()
    heard.steps(3)
    heard.course.obey(frames.Rejection(seq=1, refund=True), b"")
    assert heard.course.may_train


def test_a_commit_moves_the_model_and_its_statistics(heard: Heard) -> None:
    heard.commit(0, value=2.0, expected=checksum.full(np.full(SIZE, 2.0, np.float32)))
    assert heard.take(frames.Applied) == [(frames.Applied(version=1), b"")]
    assert heard.learner.weights_P.tolist() == SIZE * [2.0]
    assert heard.learner.buffers_B.tolist() == [7, 8]


@pytest.mark.parametrize(("base", "expected"), [(4, None), (0, 12345)], ids=["gap", "checksum"])
def test_a_commit_that_does_not_fit_asks_for_a_snapshot_and_stops_training(
    heard: Heard, base: int, expected: int | None
) -> None:
    heard.commit(base, expected=expected)
    assert len(heard.take(frames.Desync)) == 1
    assert not heard.course.may_train
    heard.commit(base + 1)
    assert heard.said == [], "what follows on the lost base is let go"
    heard.base(9)
    assert heard.course.may_train


def test_a_damaged_commit_or_snapshot_asks_for_a_snapshot(heard: Heard) -> None:
    heard.course.obey(frames.CommitFrame(version=1, buffer_bytes=0, through=0), b"TWB1 nonsense")
    assert len(heard.take(frames.Desync)) == 1
    heard.course.obey(frames.Base(path="", version=3, through=0), b"nonsense")
    frame, _ = heard.take(frames.Desync)[0]
    assert "no use" in frame.reason


def test_a_delta_of_an_earlier_trainer_is_carried_until_it_is_included(heard: Heard) -> None:
    heard.steps(3)
    _, body = heard.take(frames.SealedFrame)[0]
    statistics_bytes = len(pack_statistics(np.zeros(2, np.float32), BUFFERS, 0))
    other = Heard()
    other.base()
    other.course.obey(frames.Pending(seq=1, buffer_bytes=statistics_bytes), body)
    assert other.learner.weights_P.tolist() == SIZE * [1.5], "half of what is pending"
    other.commit(0, value=3.0, through=1)
    assert other.learner.weights_P.tolist() == SIZE * [3.0]


def test_a_new_plan_counts_at_once_but_keeps_an_optimiser_that_did_not_change(heard: Heard) -> None:
    heard.course.obey(frames.Replan(plan={**asdict(PLAN), "local_steps": 1}), b"")
    assert heard.learner.prepared == 1
    heard.steps(1)
    assert len(heard.take(frames.SealedFrame)) == 1
    heard.course.obey(frames.Replan(plan={**asdict(PLAN), "learning_rate": 5.0}), b"")
    assert heard.learner.prepared == 2


def test_omega_is_scaled_by_what_the_coordinator_makes_of_a_delta() -> None:
    heard = Heard(omega=0.5, server_gain=2.0, local_steps=1)
    heard.base()
    heard.steps(1)
    assert heard.learner.weights_P.tolist() == SIZE * [1.0], "one half times two of 1"


def test_at_the_end_it_stops_and_says_its_full_checksum_once_it_is_there(heard: Heard) -> None:
    heard.course.obey(frames.Conclude(version=1), b"")
    assert not heard.course.may_train
    assert heard.take(frames.Figures) == []
    heard.commit(0, value=2.0)
    (figures, _) = heard.take(frames.Figures)[0]
    assert figures.checksum == checksum.full(np.full(SIZE, 2.0, np.float32))


def test_training_that_diverges_says_what_to_do(heard: Heard) -> None:
    heard.learner.rate = float("inf")
    heard.steps(2)
    with pytest.raises(TaskError, match="learning_rate"):
        heard.course.step()


def test_a_delta_that_is_longer_than_the_coordinator_takes_is_not_sent() -> None:
    heard = Heard(max_delta_bytes=10)
    heard.base()
    heard.steps(2)
    with pytest.raises(TaskError, match=r"lower density\.up"):
        heard.course.step()


def test_a_loss_that_is_no_number_is_no_reason_to_lose_the_trainer() -> None:
    heard = Heard()
    heard.learner.step = lambda: float("nan")  # type: ignore[method-assign]
    heard.base()
    heard.steps(3)
    ((sealed, body),) = heard.take(frames.SealedFrame)
    ((understood, _),) = frames.FrameReader(frames.FROM_TRAINER).feed(frames.encode(sealed, body))
    assert understood == sealed
