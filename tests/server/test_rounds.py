"""Whom a round waits for: everyone who is here, and after a start of the coordinator those who took part before it."""

from pathlib import Path

import pytest
from coordinator_story import Fleet, the
from journal_story import Run, again, real_run

from thinwire.server.effects import Published
from thinwire.server.events import Greeted, Left, Subscribed, Tick
from thinwire.server.policy import Sync

NAMES = ("ash", "elm", "fir", "oak")
ROUNDS = {"policy": Sync(1.0, 30.0), "denominator": "buffer"}


def back(run: Run, device: str) -> None:
    """The device subscribes again; its account goes on."""
    run.happens(Greeted(device, 1, sealed_through=9))
    run.happens(Subscribed(device, 10 + len(device)))


def killed(tmp_path: Path, in_this_round: int, **how: int) -> Run:
    """After one whole round, and so many deltas of the next; nothing was said to anybody. The process after it."""
    run, path = real_run(tmp_path / "run", **ROUNDS, **how)
    run.join(*NAMES)
    run.happens(Greeted("yew", 0))
    run.happens(Subscribed("yew", 5))
    run.happens(Left("yew"))
    for number, name in enumerate((*NAMES, *NAMES[:in_this_round])):
        run.delta(name, number)
    assert run.core.model.version == 1
    run.stop()
    return again(path, **ROUNDS, **how)


@pytest.mark.parametrize("checkpoint_bytes", [1, 1 << 30], ids=["from a checkpoint", "from the log"])
@pytest.mark.parametrize("in_this_round", [0, 2])
def test_a_round_that_a_kill_cut_off_is_closed_by_all_who_took_part_not_by_the_first_who_is_back(
    tmp_path: Path, in_this_round: int, checkpoint_bytes: int
) -> None:
    run = killed(tmp_path, in_this_round, checkpoint_bytes=checkpoint_bytes)
    folded = []
    for number, name in enumerate(NAMES):
        back(run, name)
        if number >= in_this_round:
            folded += [effect.commit.folded for effect in the(run.delta(name, 10 + number), Published)]
        assert run.core.model.version == 1 + (name == NAMES[-1])
    assert folded == [4]
    run.stop()


def test_whose_answer_was_there_but_who_is_not_back_is_waited_for_in_the_next_round(
    tmp_path: Path,
) -> None:
    run = killed(tmp_path, in_this_round=3)
    back(run, "oak")
    assert [effect.commit.folded for effect in the(run.delta("oak", 20), Published)] == [4]
    assert the(run.delta("oak", 21), Published) == [], "the other three have not been here since"
    for number, name in enumerate(NAMES[:3]):
        back(run, name)
        assert bool(the(run.delta(name, 30 + number), Published)) == (name == "fir")
    run.stop()


def test_who_took_part_and_does_not_come_back_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    run = killed(tmp_path, 0)
    back(run, "ash")
    assert the(run.delta("ash", 20), Published) == []
    assert run.core.status() == "1 of 4 devices have answered; 1 at the deadline will do"
    assert run.core.deadline == 30.0
    effects = run.recorder.handle(Tick(), 30.0).effects
    assert [effect.commit.folded for effect in the(effects, Published)] == [1]
    assert the(run.delta("ash", 21), Published), "and from then on only those who are here"
    run.stop()


def test_who_answered_and_left_does_not_stand_in_for_one_who_is_here() -> None:
    fleet = Fleet(policy=Sync(1.0, 30.0))
    fleet.join("ash", "elm", "fir")
    fleet.delta("ash")
    fleet.happens(Left("ash"))
    assert the(fleet.delta("elm"), Published) == []
    assert the(fleet.delta("fir"), Published)


def test_who_is_back_has_answered_already() -> None:
    fleet = Fleet(policy=Sync(1.0, 30.0))
    fleet.join("ash", "elm", "fir")
    fleet.delta("ash")
    fleet.happens(Left("ash"), Subscribed("ash", 1))
    assert the(fleet.delta("elm"), Published) == []
    assert the(fleet.delta("fir"), Published)


def test_a_delta_that_comes_before_its_device_subscribes_does_not_stand_in_for_another() -> None:
    fleet = Fleet(policy=Sync(1.0, 30.0))
    fleet.join("ash", "elm", "fir")
    fleet.happens(Left("ash"))
    fleet.delta("ash")
    assert the(fleet.delta("elm"), Published) == []
    assert the(fleet.delta("fir"), Published)
