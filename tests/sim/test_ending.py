"""How a run ended is told as it was: by itself, by the clock, or because its devices gave up."""

import warnings
from pathlib import Path

import pytest

from thinwire.common.errors import TaskError
from thinwire.common.history import End, Header, History, Row
from thinwire.sim.cell import Cell, run_cell
from thinwire.sim.outcome import outcome_of, summary
from thinwire.sim.settings import read_scenario

BOWL = """
[simulation]
until = "60s"
[[fleet]]
devices = 5
link = "100ms,2mbit"
step = "100ms"
[task]
id = "quadratic"
"""


def run(*changes: str) -> History:
    return run_cell(Cell(read_scenario(BOWL, changes), "all", 1))


def test_a_fleet_that_diverges_is_no_short_healthy_run() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = run("training.learning_rate=50")
    assert history.end is not None
    assert history.end.reason.startswith("5 of 5 devices gave up: training diverged on this device")
    assert history.rows[-1].time_s < history.end.time_s < 60.0
    assert outcome_of(history)["rejected"] > sum(row.rejected for row in history.rows)  # type: ignore[operator]


def test_a_run_that_the_clock_ends_lasts_to_the_end_and_no_device_had_to_be_equal() -> None:
    history = run()
    record = outcome_of(history)
    assert (record["reason"], record["time_s"], record["devices_equal"]) == ("60 s were over", 60.0, None)
    assert history.bytes_up >= history.rows[-1].bytes_up


def test_devices_of_a_run_that_came_to_its_end_are_equal() -> None:
    history = run("stop.max_commits=5")
    record = outcome_of(history)
    assert record["devices_equal"] == 5
    assert record["time_s"] == history.rows[-1].time_s


def test_a_run_without_a_version_says_who_was_there() -> None:
    with pytest.raises(TaskError) as caught:
        run("simulation.until=0.01")
    assert "0 of 1 devices are ready; of 5 devices 0 have reached the coordinator and 0 have" in str(caught.value)


def test_a_target_that_the_task_cannot_measure_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_task_without.py").write_text(
        "from thinwire.tasks.watch import WatchActivity\n\n"
        "class Mine(WatchActivity):\n"
        "    def evaluate(self, model):\n"
        "        return {'loss': 1.0}\n"
    )
    text = BOWL.replace("quadratic", "mine") + "[stop]\ntarget_accuracy = 0.5\n[tasks]\nmine = 'my_task_without:Mine'\n"
    with pytest.raises(TaskError, match=r"task 'mine' measures loss.* and no accuracy"):
        run_cell(Cell(read_scenario(text), "all", 1))


def test_where_no_transfer_takes_time_none_is_hidden() -> None:
    rows = (Row(time_s=1.0, version=1, bytes_up=1, bytes_down=1),)
    found = [
        summary([History(Header(link=link), rows, End(reason="", time_s=1.0))])[0]["hidden"]
        for link in ("none", "none, 1s,1mbit")
    ]
    assert found == ["-", "0%"]
