"""A demo's folder becomes the scenario of the same fleet, and the two runs are held against each other."""

import json
from pathlib import Path

import pytest

from thinwire.common.errors import SettingsError
from thinwire.common.history import End, Header, History, Row
from thinwire.sim.like import gap, scenario_like


def leave(folder: Path, **summary: object) -> None:
    (folder / "coordinator.toml").write_text("[task]\nseed = 7\n[density]\nup = 0.03\n")
    fields = {"devices": 4, "link": "300ms,1mbit", "step_seconds": 0.02, "step_spread": 0.1, "training_seconds": 30.0}
    (folder / "history.jsonl").write_text("")
    (folder / "summary.json").write_text(json.dumps({**fields, "reached": True, **summary}))


def test_the_fleet_is_that_of_the_demo(tmp_path: Path) -> None:
    leave(tmp_path)
    scenario = scenario_like(tmp_path)
    (group,) = scenario.fleet
    assert (group.devices, group.link, group.step, group.step_spread) == (4, "300ms,1mbit", 0.02, 0.1)
    assert scenario.simulation.seeds == (7,)
    assert scenario.methods["simulated"].density.up == 0.03


def test_a_folder_of_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "coordinator.toml").write_text("")
    with pytest.raises(SettingsError, match=r"has no history.jsonl, so it is no folder of a real run; `thinwire demo"):
        scenario_like(tmp_path)
    (tmp_path / "history.jsonl").write_text("")
    with pytest.raises(SettingsError, match=r"summary.json: cannot be read: .*; `thinwire demo --keep DIR` leaves"):
        scenario_like(tmp_path)
    leave(tmp_path, link=3)
    with pytest.raises(SettingsError, match=r"summary.json: is no summary of a demo: .*link"):
        scenario_like(tmp_path)


def test_the_gap_is_in_the_figures_that_both_have() -> None:
    def run(last: int) -> History:
        rows = tuple(
            Row(time_s=n / 2, version=n, bytes_up=10 * n, bytes_down=n, metrics={"accuracy": n / 10})
            for n in range(1, last)
        )
        return History(Header(target_accuracy=0.5), rows, End(reason="", time_s=1.0))

    found = gap(run(9), [run(5)])
    assert found["commits"] == (8.0, 4.0)
    assert "target_time_s" not in found
    assert gap(run(9), [run(8)])["target_time_s"] == (2.5, 2.5)
    assert gap(run(9), [run(5), run(7)])["commits"] == (8.0, 5.0)
