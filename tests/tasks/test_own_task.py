"""The example in the manual is a whole task, and one file is enough for it."""

import itertools
from pathlib import Path

import pytest
import torch

from thinwire.tasks import DeviceInfo, Task, load_task

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.syspath_prepend(EXAMPLES)
    return load_task("own_task:OwnTask", {"hidden": 16})


def test_each_device_sees_its_own_ring_only(own: Task) -> None:
    for shard in range(4):
        point, _ = next(own.batches(DeviceInfo("d", shard, 4)))
        radius = point.norm(dim=1) / 2
        assert (radius >= shard / 4 - 1e-6).all()
        assert (radius <= (shard + 1) / 4 + 1e-6).all()


def test_it_learns(own: Task) -> None:
    torch.manual_seed(0)
    model = own.model()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    before = own.evaluate(model)["accuracy"]
    for batch in itertools.islice(own.batches(DeviceInfo("d")), 100):
        optimiser.zero_grad()
        own.loss(model, batch).backward()
        optimiser.step()
    assert own.evaluate(model)["accuracy"] > before + 0.2


def test_it_stays_short_enough_to_be_read_at_a_glance() -> None:
    assert len((EXAMPLES / "own_task.py").read_text().splitlines()) < 60
