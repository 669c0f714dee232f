"""A report is one page that needs nothing else, and says what was run."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import structs

from thinwire.cli.main import main
from thinwire.common.exits import Exit
from thinwire.common.history import End, Header, History, Row, write_history
from thinwire.sim.cell import Cell
from thinwire.sim.outcome import outcome_of
from thinwire.sim.report import find, page
from thinwire.sim.settings import read_scenario
from thinwire.sim.words import fleet_in_words, settings_in_words

pytest.importorskip("matplotlib")


def write(folder: Path, method: str, seed: int, methods: tuple[str, ...] = ()) -> None:
    rows = [
        Row(
            time_s=float(n), version=n, bytes_up=n << 20, bytes_down=n << 19, deltas=3, staleness=1.5,
            density={"near": 0.1, "far": 0.02}, metrics={"accuracy": 0.1 * n}, checksum="ab",
        )
        for n in range(1, 8)
    ]  # fmt: skip
    header = Header(
        method=method, seed=seed, scenario="a <b>", task="watch", devices=5, settings="[density]\nup = 0.1\n",
        versions={"thinwire": "9.9.9"}, methods=methods,
    )  # fmt: skip
    write_history(folder / method / f"seed-{seed}.jsonl", header, rows, End(reason="done", time_s=7.0))


def report(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["report", *arguments])
    return result.exit_code, result.stderr


def test_a_page_holds_everything_it_shows(tmp_path: Path) -> None:
    for method in ("ours", "$odd <i>"):
        for seed in (1, 2):
            write(tmp_path / "runs", method, seed)
    assert report(str(tmp_path / "runs"), "--out", str(tmp_path / "page.html"))[0] == Exit.OK
    written = (tmp_path / "page.html").read_text()
    # Names of vocabularies are no addresses that a browser would visit.
    visited = re.findall(r'(?:src|href)="(?!#)([^"]*)"|url\((?!#)([^)]*)\)|@import', written)
    assert not visited
    assert written.count("<figure><svg") == 9
    for text in ("a &lt;b&gt;", "$odd &lt;i&gt;", "up = 0.1", "thinwire 9.9.9", "0.500 ± 0.000", "far"):
        assert text in written
    assert "<i>" not in written


def test_switches_name_shapes_that_are_there(tmp_path: Path) -> None:
    write(tmp_path, "a", 1)
    write(tmp_path, "b", 1)
    report(str(tmp_path), "--out", str(tmp_path / "page.html"))
    written = (tmp_path / "page.html").read_text()
    for number in re.findall(r'data-method="(\d+)"', written):
        assert f'--m{number}"' in written
        # Its line in the legend goes with it.
        assert f'"legend-line-accuracy-time--m{number}"' in written


def test_methods_come_in_the_order_of_their_scenario(tmp_path: Path) -> None:
    for method in ("alone", "a", "b"):
        write(tmp_path, method, 1, () if method == "alone" else ("b", "a"))
    assert [history.header.method for history in find([tmp_path])] == ["b", "a", "alone"]


def test_the_fleet_stands_there_as_in_its_file_and_no_seed_that_was_not_used() -> None:
    scenario = read_scenario(
        "[simulation]\nuntil = '30s'\n[[fleet]]\nname = 'far'\ndevices = 4\nstep = '50ms'\n[task]\nseed = 77\n"
    )
    header = Cell(scenario, "all", 5).header()
    assert fleet_in_words(header) == (
        '[simulation]\nuntil = "30s"\n\n[[fleet]]\nname = "far"\ndevices = 4\nstep = "50ms"'
    )
    assert "seed = 77" in header.settings
    told = settings_in_words(header)
    assert header.settings.replace("seed = 77\n", "") == told
    assert fleet_in_words(Header(source="real", fleet="two boards")) == "two boards"


def test_accuracies_of_devices_are_told_where_they_were_measured(tmp_path: Path) -> None:
    write(tmp_path, "a", 1)
    (history,) = find([tmp_path])
    assert "worst tenth" not in page([history])
    metrics = {"accuracy": 0.7, "device_accuracy": 0.6, "device_accuracy_worst": 0.125}
    measured = History(history.header, (structs.replace(history.rows[-1], metrics=metrics),), history.end)
    assert "worst tenth" in page([measured])
    assert "0.125" in page([measured])
    assert outcome_of(measured)["device_accuracy_worst"] == 0.125


def test_a_folder_without_a_history_is_told(tmp_path: Path) -> None:
    code, said = report(str(tmp_path))
    assert code == Exit.TRAINING
    assert "no history (*.jsonl) is in this folder" in said
