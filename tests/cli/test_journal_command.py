"""`thinwire journal` and `thinwire rollback` over a state folder: what they print, and what they end with."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file

from thinwire.cli.main import main
from thinwire.common.disk import OsFolder

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
from journal_story import Run, real_run


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Run, Path]:
    run, path = real_run(tmp_path / "state", checkpoint_bytes=700)
    run.join("oak", "elm")
    run.train(5, "oak", "elm")
    run.delta("oak", 9, base=99)
    return run, path


def thinwire(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_verify_of_a_running_coordinators_state_folder(trained: tuple[Run, Path]) -> None:
    _run, path = trained
    result = thinwire("journal", "verify", path.parent)
    assert result.exit_code == 0
    assert "5 accepted" in result.stdout
    assert "sound" in result.stdout
    [found] = lines(thinwire("journal", "verify", path, "--json"))
    assert (found["schema"], found["sound"], found["version"]) == ("thinwire.journal.verify/v1", True, 2)


def test_verify_of_a_damaged_one_ends_with_8_and_says_where_and_what_to_do(trained: tuple[Run, Path]) -> None:
    _run, path = trained
    journal = path / "journal-0000000000000001.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:700] + bytes([whole[700] ^ 1]) + whole[701:])
    result = thinwire("journal", "verify", path)
    assert result.exit_code == 8
    assert "damaged: journal-0000000000000001.log: " in result.stderr
    assert " at byte " in result.stderr
    assert "restore it from a backup" in result.stderr
    # The other commands do not get far either, and say the same.
    result = thinwire("journal", "replay", path)
    assert result.exit_code == 8
    assert "restore this folder from a backup" in result.stderr


def test_show_lists_what_is_asked_for(trained: tuple[Run, Path]) -> None:
    run, path = trained
    everything = lines(thinwire("journal", "show", path, "--json"))
    assert [row["number"] for row in everything] == list(range(1, run.journal.last + 1))
    [rejected] = lines(thinwire("journal", "show", path, "--kind", "rejected", "--json"))
    assert (rejected["device"], rejected["seq"], rejected["message"]) == (
        "oak", 4, "made on version 99, but 2 is the newest",
    )  # fmt: skip
    of_elm = lines(thinwire("journal", "show", path, "--device", "elm", "--from", "3", "--json"))
    assert {row["device"] for row in of_elm} == {"elm"}
    assert [row["number"] for row in lines(thinwire("journal", "show", path, "--from", 4, "--to", 6, "--json"))] == [
        4, 5, 6,
    ]  # fmt: skip
    table = thinwire("journal", "show", path, "--kind", "committed").stdout.splitlines()
    assert len(table) == 3
    assert table[-1].endswith(f"2 deltas, checksum {run.core.model.checksum:016x}")


def test_replay_ends_with_the_live_models_checksum(trained: tuple[Run, Path]) -> None:
    run, path = trained
    last = lines(thinwire("journal", "replay", path, "--json"))[-1]
    assert (last["version"], last["checksum"]) == (2, f"{run.core.model.checksum:016x}")
    assert f"version 2 with checksum {run.core.model.checksum:016x}" in thinwire("journal", "replay", path).stdout


def test_replay_writes_the_model_of_a_version(trained: tuple[Run, Path], tmp_path: Path) -> None:
    run, path = trained
    out = tmp_path / "model.safetensors"
    assert thinwire("journal", "replay", path, "--to", 2, "--out", out).exit_code == 0
    assert load_file(out)["w"].tobytes() == run.core.model.weights_P.tobytes()
    result = thinwire("journal", "replay", path, "--to", 3)
    assert result.exit_code == 3
    assert "no version 3: the last is 2" in result.stderr


def test_where_no_training_is_it_is_said(tmp_path: Path) -> None:
    for command in (("journal", "verify"), ("rollback", "--to", "1")):
        result = thinwire(*command, tmp_path)
        assert result.exit_code == 3
        assert "is it the state.dir of a coordinator?" in result.stderr


def test_rollback_says_what_is_undone_and_where_the_new_run_is(trained: tuple[Run, Path]) -> None:
    run, path = trained
    run.stop()
    result = thinwire("rollback", path.parent, "--to", 1, "--yes")
    assert result.exit_code == 0
    assert "from version 2 back to 1" in result.stderr
    assert "1 commits and 3 accepted deltas are undone" in result.stderr
    assert Path(result.stdout.strip()).name.startswith("0002-")
    assert "sound" in thinwire("journal", "verify", path.parent).stdout


def test_rollback_asks_and_does_nothing_where_nobody_answers(trained: tuple[Run, Path]) -> None:
    _, path = trained
    result = thinwire("rollback", path.parent, "--to", 1)
    assert result.exit_code == 2
    assert "say --yes" in result.stderr
    assert [entry.name for entry in path.parent.iterdir() if entry.is_dir()] == [path.name]


def test_rollback_beside_a_running_coordinator_is_refused_and_names_it(trained: tuple[Run, Path]) -> None:
    import os

    _, path = trained
    held = OsFolder(path.parent)
    result = thinwire("rollback", path.parent, "--to", 1, "--yes")
    held.close()
    assert result.exit_code == 3
    assert f"which another running process uses (pid {os.getpid()}); stop it" in result.stderr
