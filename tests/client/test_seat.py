"""Where trainers sit: each is started for the task as it stands by then, and figures go on from one to the next."""

import random
from dataclasses import replace

import pytest
from agent_story import LAYOUT, LINEAGE, one

from thinwire.client.effects import Effect, Note, Quit, StartTrainer, Tell
from thinwire.client.seat import Seat
from thinwire.common import frames
from thinwire.common.values import Plan, Welcome

WELCOME = Welcome(LINEAGE, 1, "t", "{}", LAYOUT, Plan(), 3)
READY = frames.Ready(layout_hash=LAYOUT.hex(), parameters=5, examples=7)


@pytest.fixture
def seat() -> Seat:
    """A trainer is ready."""
    seat = Seat(random.Random(1))
    assert seat.start(WELCOME, next_seq=1) == [StartTrainer(WELCOME, 1)]
    assert seat.take(READY) == []
    return seat


def figures(steps: int) -> frames.Figures:
    return frames.Figures(
        version=3, steps=steps, cuts=1, compute_s=1.0, wait_s=0.5, residual_norm=0, delay_steps=0, waiting=False
    )


def started_again(seat: Seat, next_seq: int = 4) -> list[Effect]:
    seat.lose("killed", 10.0)
    assert seat.restart_at is not None
    assert seat.tick(10.0, next_seq) == []
    return seat.tick(seat.restart_at, next_seq)


def test_without_a_task_nobody_is_told_of_a_plan_and_nothing_is_due() -> None:
    seat = Seat(random.Random(1))
    assert not seat.has_task
    assert (seat.replan(Plan(window=9)), seat.tick(99.0, 1)) == ([], [])


def test_a_plan_that_changed_since_is_told_once_and_is_the_next_trainers(seat: Seat) -> None:
    changed = replace(WELCOME.plan, window=9)
    tell = one(seat.replan(changed))
    assert isinstance(tell, Tell)
    assert isinstance(tell.frame, frames.Replan)
    assert tell.frame.plan["window"] == 9
    assert seat.replan(changed) == []
    assert started_again(seat) == [StartTrainer(replace(WELCOME, plan=changed), 4)]


def test_a_plan_that_waits_for_outcomes_is_known_as_one_only_with_a_task(seat: Seat) -> None:
    assert not seat.waits_for_outcomes
    seat.replan(replace(WELCOME.plan, waits_for="outcome"))
    assert seat.waits_for_outcomes
    assert not Seat(random.Random(1)).waits_for_outcomes


def test_counters_go_on_where_the_trainer_before_ended(seat: Seat) -> None:
    seat.count(figures(steps=5))
    started_again(seat)
    seat.count(figures(steps=2))
    assert (seat.figures.steps, seat.figures.cuts, seat.figures.compute_s, seat.restarts) == (7, 2, 2.0, 1)


def test_one_that_built_another_model_does_not_sit_down() -> None:
    seat = Seat(random.Random(1))
    seat.start(WELCOME, 1)
    other = frames.Ready(layout_hash=bytes(8).hex(), parameters=6, examples=7)
    quit = one(seat.take(other))
    assert isinstance(quit, Quit)
    assert "another model" in quit.message
    assert seat.ready is None


def test_who_does_something_of_use_is_replaced_soon_after_all() -> None:
    """The wait grows with each that is lost at once: without that, a task that fails would fill the log."""
    seat = Seat(random.Random(1))
    seat.start(WELCOME, 1)
    for _ in range(6):
        lost = seat.lose("killed", 0.0)
    assert isinstance(one(lost), Note)
    seat.works()
    seat.lose("killed", 0.0)
    assert seat.restart_at is not None
    assert seat.restart_at <= 1.0
