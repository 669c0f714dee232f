"""The picture tasks share their set out without overlap, and learn from it."""

import itertools
from pathlib import Path

import crafted
import numpy as np
import pytest
import torch
from learning import losses

from thinwire.tasks import DeviceInfo, Task, images, load_task
from thinwire.tasks.pictures import Pictures

NUM = 300


@pytest.fixture
def mnist() -> Pictures:
    made = crafted.pictures(NUM)
    crafted.write_all(Path("data/MNIST/raw"), crafted.idx_files(made))
    return made


def devices(shards: int, seed: int = 0, data_dir: Path | None = None) -> list[DeviceInfo]:
    return [DeviceInfo(f"d{shard}", shard, shards, seed, data_dir) for shard in range(shards)]


@pytest.mark.parametrize("params", [{}, {"partition": "dirichlet", "alpha": 0.1}], ids=str)
def test_the_devices_together_have_every_picture_once(mnist: Pictures, params: dict[str, object]) -> None:
    task = load_task("mnist", {"batch_size": NUM, **params})
    held = [next(task.batches(device))[0].numpy().reshape(-1, 784) for device in devices(7)]
    assert [len(part) for part in held] == [task.examples(device) for device in devices(7)]
    together, whole = np.concatenate(held), mnist.train_image.reshape(-1, 784)
    assert np.array_equal(np.unique(together, axis=0), np.unique(whole, axis=0))
    assert len(together) == NUM


def test_a_device_s_seed_changes_its_order_but_not_its_pictures(mnist: Pictures) -> None:
    task = load_task("mnist", {"batch_size": 100})
    one, other = (next(task.batches(devices(3, seed)[1]))[0].reshape(100, -1) for seed in (1, 2))
    assert not torch.equal(one, other)
    assert torch.equal(one.unique(dim=0), other.unique(dim=0))


def test_another_partition_seed_cuts_other_shards(mnist: Pictures) -> None:
    device = devices(3)[0]
    parts = [
        next(load_task("mnist", {"batch_size": 100, "partition_seed": seed}).batches(device))[0].reshape(100, -1)
        for seed in (0, 1)
    ]
    assert not torch.equal(parts[0].unique(dim=0), parts[1].unique(dim=0))


def test_a_device_is_measured_by_its_share_of_each_class(mnist: Pictures) -> None:
    torch.manual_seed(0)
    task = load_task("mnist", {"partition": "classes", "per_device": 1})
    model = task.model()
    right_N = model(torch.from_numpy(mnist.test_image)).argmax(1).numpy() == mnist.test_label
    by_class = sorted(right_N[mnist.test_label == label].mean() for label in range(10))
    assert sorted(task.evaluate_devices(model, 10)) == pytest.approx(by_class)


@pytest.mark.parametrize(("id", "shape"), [
    ("mnist", (1, 28, 28)), ("fashion-mnist", (1, 28, 28)), ("cifar10", (3, 32, 32)),
])  # fmt: skip
def test_a_few_steps_on_one_batch_reduce_its_loss(id: str, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    task: Task = load_task(id)
    model = task.model()
    made = crafted.pictures(8, shape)
    batch = torch.from_numpy(made.train_image), torch.from_numpy(made.train_label).long()
    found = losses(task, model, [batch] * 6, lr=0.05)
    assert found[-1] < 0.7 * found[0]
    assert not list(model.buffers())


def test_the_device_s_own_data_dir_comes_first(mnist: Pictures, tmp_path: Path) -> None:
    own = crafted.pictures(20, seed=9)
    crafted.write_all(tmp_path / "own", crafted.idx_files(own))
    task = load_task("mnist")
    assert task.examples(devices(2, data_dir=tmp_path / "own")[0]) == 10
    assert task.examples(devices(2)[0]) == NUM // 2


def test_the_model_begins_by_standardising_bytes() -> None:
    pixel_BCHW = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    standard = images.Standardise((0.5,), (0.25,))(pixel_BCHW)
    assert standard.flatten().tolist() == pytest.approx([-2, 2])


def test_the_test_pictures_measure_a_model(mnist: Pictures) -> None:
    task = load_task("mnist")
    measures = task.evaluate(task.model())
    right = measures["accuracy"] * len(mnist.test_label)
    assert right == pytest.approx(round(right))


def test_endless_means_more_than_one_pass(mnist: Pictures) -> None:
    batches = load_task("mnist", {"batch_size": 50}).batches(devices(3)[0])
    assert len(list(itertools.islice(batches, 7))) == 7


@pytest.mark.parametrize(("params", "message"), [
    ({"partition": "even"}, "partition is 'even'; it must be one of 'iid', 'dirichlet'"),
    ({"alpha": 0}, "alpha is 0; it must be 0.001 to 1000000"),
    ({"batch_size": 5000}, "batch_size is 5000"),
])  # fmt: skip
def test_a_wrong_parameter_says_what_is_allowed(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        images.MNIST(**params)  # type: ignore[arg-type]
