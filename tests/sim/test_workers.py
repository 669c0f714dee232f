"""Work for several processes: all of it is done, in fresh processes, and what goes wrong is told and ends it."""

import os

import pytest
from worker_story import die, odd_ones_fail, own, seven_kills

from thinwire.common.errors import TaskError
from thinwire.sim.workers import RUNS_A_PROCESS, WorkerError, spread


def test_no_process_does_more_than_its_share_and_nothing_is_left_out() -> None:
    """As many items as let all processes reach their share at the same time."""
    items = list(range(100, 100 + 4 * RUNS_A_PROCESS + 1))
    done = dict(spread(own, items, jobs=2))
    assert [done[place][0] for place in range(len(items))] == items
    shares = [process for _, process in done.values()]
    assert max(shares.count(process) for process in set(shares)) == RUNS_A_PROCESS
    assert os.getpid() not in shares


def test_an_error_is_raised_as_it_was() -> None:
    with pytest.raises(TaskError) as caught:
        list(spread(odd_ones_fail, [0, 1], jobs=1))
    assert str(caught.value) == "1 is odd"
    assert "in odd_ones_fail" in caught.value.__notes__[0]


def test_what_stands_for_a_failure_keeps_all_others_going() -> None:
    begun: list[int] = []

    def message(place: int, error: Exception) -> str:
        return str(error)

    done = dict(spread(odd_ones_fail, [0, 1, 2, 3], jobs=2, begun=begun.append, instead=message))  # type: ignore[arg-type]
    assert done == {0: 0, 1: "1 is odd", 2: 2, 3: "3 is odd"}
    assert begun == [0, 1, 2, 3]


def test_the_work_of_a_dead_process_is_the_only_work_that_is_lost() -> None:
    done = dict(spread(seven_kills, [7, 1, 7, 2], jobs=1, instead=lambda place, error: -1))
    assert done == {0: -1, 1: 1, 2: -1, 3: 2}


def test_a_process_that_dies_is_told_of() -> None:
    with pytest.raises(WorkerError, match=r"ended with -9 .*fewer --jobs"):
        list(spread(die, [1], jobs=1))
