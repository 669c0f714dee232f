"""A report is one page that needs nothing else, and says what was run."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from thinwire.cli.main import main
from thinwire.common.exits import Exit
from thinwire.common.history import End, Header, Row, write_history
from thinwire.sim.report import find

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
    page = (tmp_path / "page.html").read_text()
    # Names of vocabularies are no addresses that a browser would visit.
    visited = re.findall(r'(?:src|href)="(?!#)([^"]*)"|url\((?!#)([^)]*)\)|@import', page)
    assert not visited
    assert page.count("<svg") == 9
    for text in ("a &lt;b&gt;", "$odd &lt;i&gt;", "up = 0.1", "thinwire 9.9.9", "0.500 ± 0.000", "far"):
        assert text in page
    assert "<i>" not in page


def test_switches_name_shapes_that_are_there(tmp_path: Path) -> None:
    write(tmp_path, "a", 1)
    write(tmp_path, "b", 1)
    report(str(tmp_path), "--out", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    for number in re.findall(r'data-method="(\d+)"', page):
        assert f'--m{number}"' in page


def test_methods_come_in_the_order_of_their_scenario(tmp_path: Path) -> None:
    for method in ("alone", "a", "b"):
        write(tmp_path, method, 1, () if method == "alone" else ("b", "a"))
    assert [history.header.method for history in find([tmp_path])] == ["b", "a", "alone"]


def test_a_folder_without_a_history_is_told(tmp_path: Path) -> None:
    code, said = report(str(tmp_path))
    assert code == Exit.TRAINING
    assert "no history (*.jsonl) is in this folder" in said
