"""A task is found by its id or its path, and whoever mistypes one learns what was meant."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from thinwire.common.errors import TaskError
from thinwire.tasks import BUILTIN, DeviceInfo, Task, load_task, task_path
from thinwire.tasks.watch import WatchActivity

OWN = """
from thinwire.tasks import Task

class Own(Task):
    def __init__(self, *, width: int = 3) -> None:
        if width < 1:
            raise ValueError(f"width is {width}; it must be 1 or more")
        self.width = width
    def model(self): return None
    def batches(self, device): return iter(())
    def loss(self, model, batch): return None

class Free(Own):
    def __init__(self, **anything): self.anything = anything

class Half(Task):
    def model(self): return None

class NoTask:
    pass
"""


@pytest.fixture(autouse=True)
def _own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "own_of_test.py").write_text(OWN)
    (tmp_path / "needy_of_test.py").write_text("import surely_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_of_test", None)


def test_a_builtin_is_found_by_its_id_and_by_its_path() -> None:
    assert isinstance(load_task("watch", {"batch_size": 5}), WatchActivity)
    assert isinstance(load_task(BUILTIN["watch"], {}), WatchActivity)


@pytest.mark.parametrize("id", BUILTIN)
def test_every_builtin_builds_its_model_without_any_data(id: str) -> None:
    assert sum(p.numel() for p in load_task(id).model().parameters()) in range(25_000, 300_000)


def test_a_task_of_one_s_own_takes_its_parameters() -> None:
    assert vars(load_task("own_of_test:Own", {"width": 7})) == {"width": 7}
    assert vars(load_task("own_of_test:Free", {"x": 1})) == {"anything": {"x": 1}}


@pytest.mark.parametrize(("path", "params", "message"), [
    ("wacth", {}, "no task 'wacth'; did you mean 'watch'.*built in are watch, omniglot, fashion-mnist, mnist, cifar10"),
    ("os:", {}, "no task 'os:'"),
    ("nowhere_to_be_found:Own", {}, "no module 'nowhere_to_be_found' is installed here"),
    ("needy_of_test:Own", {}, "its module needs 'surely_not_installed'"),
    ("own_of_test:Onw", {}, "has no 'Onw'; did you mean 'Own'"),
    ("own_of_test:NoTask", {}, "is no task: it must be a subclass of thinwire.tasks.Task"),
    ("subprocess:run", {}, "is no task"),
    ("own_of_test:Half", {}, "is not whole: it lacks batches, loss"),
    ("own_of_test:Own", {"widht": 1}, "no parameter 'widht'; did you mean 'width'.; it takes width"),
    ("own_of_test:Own", {"width": 0}, "width is 0; it must be 1 or more"),
    ("own_of_test:Own", {"width": None}, "refuses its parameters"),
])  # fmt: skip
def test_a_task_that_cannot_be_had_says_why(path: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load_task(path, params)


def test_an_id_off_the_network_is_never_taken_for_a_path() -> None:
    assert task_path("own", {"own": "own_of_test:Own"}) == "own_of_test:Own"
    with pytest.raises(TaskError, match="no task 'own_of_test:Own' is installed here"):
        task_path("own_of_test:Own", {})


def test_the_face_costs_neither_torch_nor_numpy() -> None:
    code = "import sys, thinwire.tasks; print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize(("shard", "shards"), [(-1, 2), (2, 2), (0, 0)])
def test_a_device_outside_its_fleet_is_refused(shard: int, shards: int) -> None:
    with pytest.raises(ValueError, match="shard"):
        DeviceInfo("a", shard, shards)


def test_what_a_task_need_not_say_has_an_answer() -> None:
    task: Task = load_task("own_of_test:Own")
    assert task.examples(DeviceInfo("a")) == 1
    assert task.evaluate(None) == {}  # type: ignore[arg-type]
