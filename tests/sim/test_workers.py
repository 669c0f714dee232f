"""Work for several processes: all of it is done, in fresh processes, and what goes wrong is told and ends it."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from worker_story import die, leave, odd_ones_fail, own, raise_odd, seven_kills

from thinwire.common.exits import Exit
from thinwire.sim.workers import RUNS_A_PROCESS, WorkerError, spread


def test_no_process_does_more_than_its_share_and_nothing_is_left_out() -> None:
    """As many items as let all processes reach their share at the same time."""
    items = list(range(100, 100 + 4 * RUNS_A_PROCESS + 1))
    done = dict(spread(own, items, jobs=2))
    assert [done[place][0] for place in range(len(items))] == items
    shares = [process for _, process in done.values()]
    assert max(shares.count(process) for process in set(shares)) == RUNS_A_PROCESS
    assert os.getpid() not in shares


def test_an_error_has_its_words_and_code_and_what_nobody_meant_its_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for call, words, code in (
        (odd_ones_fail, "1 is odd", Exit.DISK),
        (raise_odd, "OddError: 1 and 2", Exit.TRAINING),
        (leave, "SystemExit: 1", Exit.TRAINING),
    ):
        with pytest.raises(WorkerError) as caught:
            list(spread(call, [1], jobs=1))
        assert (str(caught.value), caught.value.code) == (words, code)
        assert (f"in {call.__name__}" in capfd.readouterr().err) == (call is not odd_ones_fail)


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
    with pytest.raises(WorkerError, match=r"ended with -9 .*fewer --jobs.*goes on"):
        list(spread(die, [1], jobs=1))


PARENT = """
from worker_story import wait_long
from thinwire.sim.workers import spread
if __name__ == "__main__":
    list(spread(wait_long, [1], jobs=1))
"""


def test_nobody_computes_on_for_one_who_is_gone(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    command, here = [sys.executable, str(tmp_path / "parent.py")], str(Path(__file__).parent)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": here}) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    with suppress(ProcessLookupError):
        for _ in range(600):
            os.kill(child, 0)
            time.sleep(0.05)
        pytest.fail("it computes on")
