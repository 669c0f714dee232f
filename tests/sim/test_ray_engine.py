"""Runs by Ray: the same histories as in processes of this machine, and as little is lost by one that fails."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from thinwire.cli.main import main
from thinwire.common.errors import LinkError
from thinwire.common.exits import Exit
from thinwire.common.history import versions
from thinwire.sim.compare import cells_of
from thinwire.sim.ray_engine import RayEngine, answer_there
from thinwire.sim.settings import read_scenario
from thinwire.sim.workers import WorkerError

FLEET = """
[simulation]
seeds = [1, 2]
until = "1000d"
[[fleet]]
devices = 2
link = "200ms,1mbit,50ms"
step = "100ms"
step_spread = 0.3
[task]
id = "quadratic"
[aggregation]
min_devices = 2
[stop]
max_commits = 4
[tasks]
mine = "my_ray_task:Mine"
"""

METHODS = """
[methods.deadly]
task = { id = "mine", params = { deadly = true } }
[methods.mine]
task = { id = "mine" }
[methods.watch]
task = { id = "watch" }
[methods.bowl]
[methods.wrong]
task.params.siz = 3
"""

MINE = """
import os
import torch
from thinwire.tasks import Task

class Mine(Task):
    def __init__(self, deadly=False):
        self.deadly = deadly
    def model(self):
        return torch.nn.Linear(2, 1)
    def examples(self, device):
        return 8
    def batches(self, device):
        while True:
            yield torch.ones(8, 2)
    def loss(self, model, batch):
        if self.deadly:
            os.kill(os.getpid(), 9)
        return model(batch).square().mean()
    def evaluate(self, model):
        return {"accuracy": 0.5}
"""


def command(engine: str, out: str) -> list[str]:
    asked = ["simulate", "scenario.toml", "--engine", engine, "--jobs", "2", "--out", out, "--json"]
    return [sys.executable, "-m", "thinwire.cli", *asked]


def surroundings(folder: Path) -> dict[str, str]:
    """A module path with the task on it, and a home where Ray may leave the token of its cluster.

    Of two processes that died Ray keeps the second one's message until it ends.
    """
    kept = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "HOME": str(folder), "PYTHONPATH": path, "RAY_DEDUP_LOGS_AGG_WINDOW_S": "3600"}


Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran, Ran]:
    """A folder where processes did a scenario, and Ray did."""
    pytest.importorskip("ray")
    folder = tmp_path_factory.mktemp("both")
    (folder / "my_ray_task.py").write_text(MINE)
    (folder / "scenario.toml").write_text(FLEET + METHODS)
    ran = [
        subprocess.run(command(engine, engine), cwd=folder, env=surroundings(folder), capture_output=True, text=True)
        for engine in ("processes", "ray")
    ]
    return folder, ran[0], ran[1]


def histories(folder: Path) -> dict[str, str]:
    """Each file's text, but for the time that the computer took."""
    found = {}
    for path in folder.rglob("*.jsonl"):
        before, name, after = path.read_text().rpartition('"wall_s":')
        found[str(path.relative_to(folder))] = before + name + after.partition(",")[2]
    return found


@pytest.mark.slow
def test_the_same_histories_byte_for_byte(both: tuple[Path, Ran, Ran]) -> None:
    folder, _, _ = both
    expected = histories(folder / "processes")
    assert {name.partition("/")[0] for name in expected} == {"mine", "watch", "bowl"}
    assert histories(folder / "ray") == expected


@pytest.mark.slow
def test_results_are_in_the_same_order_and_nothing_else_is_on_standard_output(both: tuple[Path, Ran, Ran]) -> None:
    _, processes, ray = both
    records = [[{**json.loads(line), "wall_s": 0} for line in ran.stdout.splitlines()] for ran in (processes, ray)]
    assert records[0] == records[1]
    assert len(records[0]) == 6
    assert ray.returncode == processes.returncode == Exit.TRAINING


@pytest.mark.slow
def test_what_fails_is_told_and_takes_nothing_else_with_it(both: tuple[Path, Ran, Ran]) -> None:
    _, processes, ray = both
    assert "4 of 10 runs failed, the others are kept" in ray.stderr
    assert "deadly, seeds 1, 2: Ray could not finish it: The worker died unexpectedly" in ray.stderr
    (wrong,) = (line for line in processes.stderr.splitlines() if "wrong, seeds 1, 2: " in line)
    assert wrong in ray.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_an_interrupted_command_leaves_nothing_running(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    (tmp_path / "scenario.toml").write_text(FLEET + "[methods.short]\n[methods.endless]\nstop.max_commits = 0\n")
    with subprocess.Popen(
        command("ray", "out"), cwd=tmp_path, env=surroundings(tmp_path), stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as started:  # fmt: skip
        assert started.stderr is not None
        lines = iter(started.stderr.readline, "")
        assert any("short, seed 1: 4 commits" in line for line in lines)
        started.send_signal(signal.SIGINT)
        told = "".join(lines)
    assert "interrupted: " in told
    assert "done and kept in out; the same command goes on from there" in told
    assert started.returncode == Exit.INTERRUPT
    for _ in range(600):
        if not session(started.pid):
            return
        time.sleep(0.05)
    pytest.fail(f"still there: {session(started.pid)}")


def session(leader: int) -> list[str]:
    """The processes of a session, by name."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (process / "stat").read_text().rpartition(")")
        except OSError:
            continue
        state, _, _, its = rest.split()[:4]
        if int(its) == leader and state != "Z":
            found.append(name)
    return found


def test_a_node_that_would_compute_other_rows_refuses() -> None:
    (cell,) = cells_of(read_scenario(FLEET), seeds=(1,))
    assert answer_there((cell, versions(), "")).result().header.seed == 1
    with pytest.raises(WorkerError, match=r"has numpy .*, the command 1\.0, .* the same on all nodes") as caught:
        answer_there((cell, {**versions(), "numpy": "1.0"}, "")).result()
    assert caught.value.code == Exit.SETTINGS


def test_a_node_without_the_code_of_a_task_refuses() -> None:
    (cell,) = cells_of(read_scenario(FLEET, ("task.id=mine",)), seeds=(1,))
    with pytest.raises(WorkerError, match=r"'my_ray_task:Mine': node .* no code is sent, so install it on all nodes"):
        answer_there((cell, versions(), "0" * 64)).result()


def test_without_ray_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "bowls.toml").write_text(FLEET)
    asked = ["simulate", str(tmp_path / "bowls.toml"), "--engine", "ray", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, asked)
    assert result.exit_code == Exit.SETTINGS
    assert "install it: pip install 'thinwire[ray]'" in result.stderr


def test_an_address_at_which_nobody_is_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(LinkError, match=r"cannot use Ray at 127\.0\.0\.1:1: .*refused"):
        list(RayEngine().run(cells_of(read_scenario(FLEET)), lambda cell: None, lambda cell, row: None))
