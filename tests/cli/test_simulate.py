"""`thinwire simulate` prints what the runs came to, keeps them, and says what is wrong with a file."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from thinwire.cli.main import main
from thinwire.common.errors import TaskError
from thinwire.common.exits import Exit
from thinwire.common.history import History
from thinwire.sim import engine
from thinwire.sim.cell import Cell, Seen, run_cell

SCENARIO = """
[simulation]
seeds = [1, 2]
[[fleet]]
devices = 3
[task]
id = "quadratic"
[aggregation]
min_devices = 3
[stop]
max_commits = 4
[methods.a]
[methods.b]
density.up = 0.5
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bowls.toml"
    path.write_text(SCENARIO)
    return path


def test_a_record_a_run_and_its_history_in_the_folder(file: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["simulate", str(file), "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == Exit.OK
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(record["method"], record["seed"]) for record in records] == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert all(record["commits"] == 4 and record["schema"] == "thinwire.simulate/v1" for record in records)
    assert (tmp_path / "out/a/seed-2.jsonl").exists()
    assert "[4/4] b, seed 2: 4 commits were asked for" in result.stderr
    again = CliRunner().invoke(main, ["simulate", str(file), "--out", str(tmp_path / "out"), "--json"])
    assert again.stdout == result.stdout
    assert "4 of 4 runs were there already (same settings and versions)" in again.stderr


def test_places_are_counted_on_from_what_is_there(file: Path, tmp_path: Path) -> None:
    command = ["simulate", str(file), "--out", str(tmp_path / "out")]
    CliRunner().invoke(main, [*command, "--method", "a"])
    said = CliRunner().invoke(main, command).stderr
    assert "2 of 4 runs were there already" in said
    assert "[3/4] b, seed 1: 4 commits" in said


def test_a_run_that_fails_leaves_the_table_of_the_others_and_an_error(file: Path, tmp_path: Path) -> None:
    command = ["simulate", str(file), "--out", str(tmp_path / "out"), "--set", "methods.b.task.params.siz=3"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == Exit.TRAINING
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [["a", "2"]]
    assert "2 of 4 runs failed, the others are kept" in result.stderr
    assert "b, seeds 1, 2: task \"quadratic\" has no parameter 'siz'" in result.stderr


@pytest.mark.parametrize(("before", "said"), [
    ([TaskError("killed")], "interrupted: none of 4 runs is done, 1 failed; the same command begins anew"),
    ([None, TaskError("killed")], "interrupted: 1 of 4 runs are done and kept in {}, 1 failed; the same command goes"),
    ([None, None], "interrupted: 2 of 4 runs are done and kept in {}; the same command goes on from there"),
])  # fmt: skip
def test_an_interrupted_command_says_what_is_kept_which_a_failed_run_is_not(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: list[Exception | None], said: str
) -> None:
    fates = [*before, KeyboardInterrupt()]

    def run(cell: Cell, seen: Seen) -> History:
        fate = fates.pop(0)
        if fate is not None:
            raise fate
        return run_cell(cell, seen)

    monkeypatch.setattr(engine, "run_cell", run)
    folder = tmp_path / "out"
    result = CliRunner().invoke(main, ["simulate", str(file), "--out", str(folder)])
    assert result.exit_code == Exit.INTERRUPT
    assert said.format(folder) in result.stderr
    assert len(list(folder.rglob("*.jsonl"))) == before.count(None)


def test_a_folder_that_cannot_be_is_told_before_anything_runs(file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(main, ["simulate", str(file), "--out", str(tmp_path / "file/out")])
    assert result.exit_code == Exit.DISK
    assert "cannot be made: Not a directory; --out names another folder" in result.stderr
    assert "seed 1" not in result.stderr


def test_a_table_with_a_line_a_method(file: Path, tmp_path: Path) -> None:
    command = ["simulate", str(file), "--out", str(tmp_path / "out"), "--seed", "7", "--method", "b"]
    lines = CliRunner().invoke(main, command).stdout.splitlines()
    assert lines[0].startswith("method  seeds  accuracy")
    assert [line.split()[:2] for line in lines[1:]] == [["b", "1"]]


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["--method", "c"], Exit.USAGE, "has no method 'c'; it has a, b"),
    (["--set", "trainig.omega=1"], Exit.SETTINGS, "did you mean training?"),
    (["--set", "task.id=wach"], Exit.SETTINGS, "did you mean watch?"),
    (["--set", "aggregation.min_devices=4"], Exit.SETTINGS, "there are 3 devices"),
])  # fmt: skip
def test_what_cannot_be_run_is_told(
    file: Path, tmp_path: Path, arguments: list[str], code: Exit, message: str
) -> None:
    result = CliRunner().invoke(main, ["simulate", str(file), "--out", str(tmp_path), *arguments])
    assert result.exit_code == code
    assert message in result.stderr
