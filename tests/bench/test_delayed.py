"""The delayed table: when a target counts as reached, how synchronous runs are timed, and what the page admits."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from thinwire.bench.delayed import FULL, PARTS, QUICK, Entry, grid, links, methods, page, places
from thinwire.bench.delayed.scenarios import scenario_of
from thinwire.bench.delayed.timing import DelayedError, reached, retimed
from thinwire.common.errors import SettingsError
from thinwire.common.history import End, Header, History, Row
from thinwire.sim.cell import Cell, run_cell
from thinwire.sim.settings import read_scenario

BOWLS = """
[[fleet]]
devices = 3
link = "{link}"
step = "100ms"
[task]
id = "quadratic"
params = {{ size = 50 }}
[aggregation]
min_devices = 3
[stop]
max_commits = {commits}
[methods.fedavg]
training.algorithm = "fedavg"
"""


def _history(accuracies: list[float]) -> History:
    rows = [
        Row(time_s=float(place), version=place, bytes_up=0, bytes_down=0, metrics={"accuracy": accuracy})
        for place, accuracy in enumerate(accuracies, 1)
    ]
    return History(Header(), tuple(rows), End(reason="", time_s=0.0))


def _bowls(link: str, commits: int) -> History:
    scenario = read_scenario(BOWLS.format(link=link, commits=commits))
    return run_cell(Cell(scenario, "fedavg", 1))


def _entry(method: str, units: float | None) -> Entry:
    return Entry(grid.WORST, links.FAR.round_trip, links.FAR.dense, method, 1, 0.4, units, 9, 9, 0.5, 99.0, 10.0, 1.0)


def test_one_lucky_measurement_is_no_target() -> None:
    row = reached(_history([0.1, 0.5, 0.3, 0.5, 0.6]), 0.5)

    assert row is not None
    assert row.version == 4
    assert reached(_history([0.1, 0.5, 0.3]), 0.5) is None


def test_a_synchronous_run_is_timed_by_its_first_rounds_as_if_it_had_run_on_the_link() -> None:
    timed = retimed(_bowls("none", 12), _bowls("2s,100kbit", 4), 100_000)
    run = _bowls("2s,100kbit", 12)

    assert timed == pytest.approx({row.version: row.time_s for row in run.rows}, rel=0.01)


def test_a_method_that_the_link_changes_is_not_timed_so() -> None:
    probe = _bowls("2s,100kbit", 4)
    other = History(probe.header, tuple(msgspec.structs.replace(r, deltas=2) for r in probe.rows), None)

    with pytest.raises(DelayedError, match="version 1 differs"):
        retimed(other, probe, 100_000)


def test_a_round_of_fewer_bytes_is_a_shorter_one() -> None:
    """As of gradients that pack better later on: three devices with 1,000 bytes a second each way."""
    run, probe = _bowls("none", 6), _bowls("2s,8kbit", 4)
    short = msgspec.structs.replace(run.rows[5], bytes_up=run.rows[5].bytes_up - 3 * 50)
    timed, shorter = (
        retimed(History(run.header, (*run.rows[:5], last), None), probe, 8_000) for last in (run.rows[5], short)
    )

    assert shorter[5] == timed[5]
    assert timed[6] - shorter[6] == pytest.approx(0.05)


@pytest.mark.parametrize(("units", "word"), [(10.0, "is reached"), (90.0, "is MISSED")])
def test_a_bar_that_is_missed_is_said_to_be(units: float, word: str, tmp_path: Path) -> None:
    page.write([_entry("fedavg", 100.0), _entry(methods.OURS, units)], QUICK, tmp_path, "thinwire bench delayed")

    assert word in (tmp_path / "delayed.md").read_text()


def test_a_run_that_never_got_there_has_no_time(tmp_path: Path) -> None:
    page.write([_entry("fedavg", None), _entry(methods.OURS, 10.0)], QUICK, tmp_path, "thinwire bench delayed")

    assert "| fedavg + | 0 of 1 | > 99 |" in (tmp_path / "delayed.md").read_text()


def test_every_place_of_the_table_is_a_scenario_that_can_be_read() -> None:
    for one in (place for part in PARTS for place in places(FULL, part)):
        scenario = scenario_of(FULL, one.alpha, one.link, one.method, target=0.4)
        assert scenario.devices == links.DEVICES


def test_the_network_has_as_many_parameters_as_the_links_were_reckoned_for() -> None:
    from thinwire.tasks import load_task

    module = load_task("cifar10", {"size": "small"}).model()

    assert sum(parameter.numel() for parameter in module.parameters()) == links.PARAMETERS


def test_only_some_methods_may_be_asked_for_and_a_slip_names_the_nearest() -> None:
    asked = places(FULL, "worst")
    assert {one.method.name for one in grid.of_methods(asked, ("fedyogi", "dga"))} == {"fedyogi", "dga"}
    with pytest.raises(SettingsError, match=r"no method 'fedyog', but .*; did you mean 'fedyogi'"):
        grid.of_methods(asked, ("fedyog",))
