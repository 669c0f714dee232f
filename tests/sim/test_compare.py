"""A comparison: the same cell has the same history bit for bit, and what is done is not done again."""

from pathlib import Path

import msgspec
import pytest

from thinwire.common.errors import TaskError
from thinwire.common.history import History, HistoryError, Row, read_history
from thinwire.sim.cell import Cell, run_cell
from thinwire.sim.compare import CellsFailedError, News, cells_of, run_cells
from thinwire.sim.engine import Processes
from thinwire.sim.outcome import outcome_of, summary
from thinwire.sim.own_code import code_of
from thinwire.sim.settings import Scenario, read_scenario

BOWL = """
[simulation]
seeds = [1, 2]
until = "60s"
[[fleet]]
name = "near"
devices = 4
link = "200ms,1mbit,50ms"
step = "200ms"
step_spread = 0.3
outage_every = "20s"
outage_for = "3s"
[[fleet]]
name = "far"
devices = 2
link = "2s,64kbit"
loss = 0.05
step = "400ms"
nap_every = "30s"
nap_for = "5s"
[task]
id = "quadratic"
params = { size = 30 }
[density]
up = 0.2
[aggregation]
min_devices = 6
[stop]
max_commits = 20
[methods.ours]
[methods.dense]
density = { up = 1.0, down = 1.0 }
"""

WATCH = """
[simulation]
until = "20s"
[[fleet]]
devices = 12
step = "100ms"
[task]
id = "watch"
params = { norm = "batch" }
[training]
local_steps = 3
optimizer = "adam"
learning_rate = 0.003
[aggregation]
min_devices = 12
buffer = 6
[stop]
max_commits = 5
[evaluation]
every_commits = 5
"""


def bowl(*changes: str) -> Scenario:
    return read_scenario(BOWL, changes, name="bowl")


def untimed(history: History) -> tuple[object, ...]:
    assert history.end is not None
    return history.header, history.rows, msgspec.structs.replace(history.end, wall_s=0.0)


def test_the_same_cell_has_the_same_history_bit_for_bit() -> None:
    first, again = (run_cell(Cell(bowl(), "ours", 1)) for _ in range(2))
    assert untimed(first) == untimed(again)
    assert first.rows != run_cell(Cell(bowl(), "ours", 2)).rows


def test_a_real_task_repeats_bit_for_bit_on_one_shared_model() -> None:
    """Twelve devices share one module; batch norm and Adam would show if one device's state leaked into another's."""
    cell = Cell(read_scenario(WATCH), "all", 1)
    first = run_cell(cell)
    assert first.rows[-1].version == 5
    assert first.measured[-1].accuracy is not None
    assert {"device_accuracy", "device_accuracy_worst"} < set(first.measured[-1].metrics)
    assert untimed(first) == untimed(run_cell(cell))


def test_a_history_tells_what_travelled() -> None:
    history = run_cell(Cell(bowl(), "ours", 1))
    assert history.end is not None
    assert history.end.reason == "20 commits were asked for"
    assert [row.version for row in history.rows] == list(range(1, 21))
    assert all(row.deltas >= 3 and row.metrics for row in history.rows)
    assert all(share == pytest.approx(0.2) for row in history.rows for share in row.density.values())
    assert set().union(*(row.density for row in history.rows)) == {"near", "far"}
    assert history.rows[-1].bytes_up > history.rows[0].bytes_up > 0


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    ran: list[str] = []

    def run(scenario: Scenario) -> list[History]:
        ran.clear()
        return run_cells(cells_of(scenario), tmp_path, finished=lambda cell, history: ran.append(cell.file))

    first = run(bowl())
    assert ran == ["ours/seed-1.jsonl", "dense/seed-1.jsonl", "ours/seed-2.jsonl", "dense/seed-2.jsonl"]
    assert run(bowl()) == first
    assert not ran
    # A cell of which a part was written, and one whose settings have changed since.
    (tmp_path / "ours/seed-2.jsonl").write_bytes((tmp_path / "ours/seed-2.jsonl").read_bytes()[:-100])
    run(bowl("methods.dense.training.omega=1.0"))
    assert ran == ["dense/seed-1.jsonl", "ours/seed-2.jsonl", "dense/seed-2.jsonl"]


def test_what_is_there_already_and_what_is_replaced_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, list[str]]] = []

    def run(scenario: Scenario) -> None:
        news = News(found=lambda there, replaced: told.append((there, [cell.file for cell in replaced])))
        run_cells(cells_of(scenario, seeds=(1,)), tmp_path, news=news)

    run(bowl())
    run(bowl("methods.dense.training.omega=1.0"))
    assert told == [(0, []), (1, ["dense/seed-1.jsonl"])]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_method_that_fails_keeps_no_other_from_running(tmp_path: Path, jobs: int) -> None:
    scenario = bowl("methods.dense.task.id=quadratic", "methods.dense.task.params.siz=3")
    with pytest.raises(CellsFailedError) as caught:
        run_cells(cells_of(scenario), tmp_path, Processes(jobs))
    assert [history.header.seed for history in caught.value.histories] == [1, 2]
    lines = str(caught.value).splitlines()
    assert lines[0] == "2 of 4 runs failed, the others are kept"
    assert lines[1].startswith("dense, seeds 1, 2: ")
    assert {path.parent.name for path in tmp_path.rglob("*.jsonl")} == {"ours"}


def test_a_task_of_ones_own_is_run_again_when_its_code_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "my_own_task.py"
    scenario = read_scenario(BOWL.replace('id = "quadratic"', 'id = "mine"') + '[tasks]\nmine = "my_own_task:Mine"\n')
    prints = []
    for code in ("a = 1", "a = 2"):
        module.write_text(code)
        prints.append(Cell(scenario, "ours", 1).header().fingerprint)
    assert prints[0] != prints[1]


OWN = """
import torch
from thinwire.tasks import Task

class Mine(Task):
    def model(self):
        return torch.nn.Linear(2, 1)
    def examples(self, device):
        return 8
    def batches(self, device):
        while True:
            yield torch.ones(8, 2)
    def loss(self, model, batch):
        return model(batch).square().mean()
    def evaluate(self, model):
        return {"accuracy": 0.5}
"""


def test_a_task_that_is_edited_meanwhile_labels_no_run_of_its_old_code_with_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process loads a module once, so the first run goes on with the old code, and the second would, too."""
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "my_edited_task.py"
    module.write_text(OWN)
    text = BOWL.replace('id = "quadratic"', 'id = "mine"').replace("{ size = 30 }", "{}")
    cells = cells_of(read_scenario(text + '[tasks]\nmine = "my_edited_task:Mine"\n'), ("ours",))
    old = cells[0].header().fingerprint

    def edit(cell: Cell, row: Row) -> None:
        module.write_text(OWN.replace("0.5", "0.75"))

    with pytest.raises(CellsFailedError, match="seed 2: task 'my_edited_task:Mine': the file of its") as caught:
        run_cells(cells, tmp_path / "out", seen=edit)
    (kept,) = caught.value.histories
    assert (kept.header.seed, kept.header.fingerprint, kept.rows[-1].accuracy) == (1, old, 0.5)
    # The edited task is another one: what the old code did is run again.
    assert cells[0].header().fingerprint != old


def test_the_code_of_a_task_that_comes_along_is_in_no_fingerprint() -> None:
    """Else no history that was ever stored would be found again."""
    assert code_of(bowl().methods["ours"]) == ""


def test_a_fault_in_a_task_of_ones_own_is_told_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_faulty_task.py").write_text(
        "from thinwire.tasks.watch import WatchActivity\n\n"
        "class Mine(WatchActivity):\n"
        "    def loss(self, model, batch):\n"
        "        return los\n"
    )
    text = WATCH.replace('id = "watch"', 'id = "mine"').replace('{ norm = "batch" }', "{}")
    scenario = read_scenario(text + '[tasks]\nmine = "my_faulty_task:Mine"\n')
    with pytest.raises(TaskError) as caught:
        run_cell(Cell(scenario, "all", 1))
    assert "task 'my_faulty_task:Mine' failed in loss at my_faulty_task.py:5: NameError: " in str(caught.value)


def test_a_stored_history_reads_as_it_was(tmp_path: Path) -> None:
    (history,) = run_cells(cells_of(bowl(), ("ours",), (1,)), tmp_path)
    assert read_history(tmp_path / "ours/seed-1.jsonl") == history


@pytest.mark.parametrize(
    "content", [b"", b"{}\n", b'{"kind": "row"}\n', b"\xff\n", b'{"kind": "header", "schema": "x"}\n']
)
def test_a_file_that_is_no_history_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.jsonl").write_bytes(content)
    with pytest.raises(HistoryError, match=r"is no"):
        read_history(tmp_path / "other.jsonl")


def test_an_outcome_is_read_off_the_rows() -> None:
    history = run_cell(Cell(bowl("stop.target_accuracy=0.3"), "dense", 1))
    record, reached = outcome_of(history), history.reached
    assert reached is not None
    assert reached == next(row for row in history.rows if row.metrics["accuracy"] >= 0.3)
    assert record["target_time_s"] == reached.time_s
    assert record["target_bytes"] == reached.bytes_up + reached.bytes_down
    assert summary([history])[0]["target"] == "1 of 1"


def test_the_norm_guard_rejects_in_a_simulation_too() -> None:
    rejected = [
        sum(row.rejected for row in run_cell(Cell(bowl(f"aggregation.norm_guard={guard}"), "ours", 1)).rows)
        for guard in (0, 100, 0.5)
    ]
    assert rejected[:2] == [0, 0]
    assert rejected[2] > 0


def test_progress_is_told_while_it_happens() -> None:
    seen: list[Row] = []
    history = run_cell(Cell(bowl(), "ours", 1), seen.append)
    assert seen == list(history.measured)
