"""Each device is measured on what is its own: by hand on a few examples, then on the tasks that come along."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from thinwire.tasks import DeviceInfo, Task, load_task, omniglot, watch
from thinwire.tasks.per_device import by_labels, by_owner, spread

RIGHT_N = np.array([True, True, False, True, False, False])


def test_an_owner_has_the_accuracy_of_its_own_examples() -> None:
    assert by_owner(RIGHT_N, np.array([0, 2, 2, 1, 0, 0]), 3) == [pytest.approx(1 / 3), 1.0, 0.5]


def test_a_device_weights_classes_as_it_has_them() -> None:
    # Class 0: both right; class 1: half; class 2: none; of class 3 nothing is held out.
    label_N = np.array([0, 0, 1, 1, 2, 2])
    count_DC = np.array([[5, 0, 0, 0], [3, 1, 0, 0], [0, 2, 2, 9]])
    assert by_labels(RIGHT_N, label_N, count_DC) == [1.0, 0.875, 0.25]


def test_the_worst_tenth_is_one_device_or_more() -> None:
    assert spread([0.5, 0.25, 0.75]) == {"device_accuracy": 0.5, "device_accuracy_worst": 0.25}
    assert spread([0.0, 0.5] + [1.0] * 18)["device_accuracy_worst"] == 0.25
    assert spread(()) == {}


class Always(nn.Module):
    """Says one class, whatever it sees."""

    def __init__(self, label: int, classes: int) -> None:
        super().__init__()
        self.score_C = nn.functional.one_hot(torch.tensor(label), classes).float()

    def forward(self, input_B: Tensor) -> Tensor:
        return self.score_C.expand(len(input_B), -1)


def test_a_writer_is_measured_on_its_own_drawings() -> None:
    every, index_N = omniglot.drawings(), omniglot.training()
    task, character = omniglot.Omniglot(), 30
    found = task.evaluate_devices(Always(character, 242), 40)
    # Devices that hold something back of this character, and that only.
    writers = every.writer_N[every.held_out_N & (every.character_N == character)]
    owner_M = every.writer_N[index_N]
    holders = {d for d, shard in enumerate(omniglot._cut(task.sharing, 40)) if set(owner_M[shard]) & set(writers)}
    assert {device for device, accuracy in enumerate(found) if accuracy > 0} == holders
    assert len(holders) == 4


def test_a_person_s_second_watch_has_the_same_accuracy() -> None:
    found = watch.WatchActivity().evaluate_devices(Always(2, 7), 12)
    assert found[10:] == found[:2]
    mask = watch.windows().held_out_N
    own = watch.windows().label_N[mask & (watch.windows().subject_N == 4)]
    assert found[3] == pytest.approx((own == 2).mean())


@pytest.mark.parametrize(("id", "classes", "devices"), [("watch", 7, 7), ("omniglot", 242, 11)])
def test_examples_that_were_dealt_out_are_weighted_by_the_device_s_labels(id: str, classes: int, devices: int) -> None:
    task: Task = load_task(id, {"partition": "classes", "per_device": classes // devices, "batch_size": 2000})
    found = task.evaluate_devices(Always(0, classes), devices)
    # Each class belongs to one device, so one alone has what the model says.
    holder = DeviceInfo("the one", int(np.argmax(found)), devices)
    assert sorted(found)[:-1] == [0.0] * (devices - 1)
    own = float((next(task.batches(holder))[1] == 0).float().mean())
    assert found[holder.shard] == pytest.approx(own, abs=0.02)
