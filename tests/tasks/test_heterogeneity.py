"""What a cut comes to, on cuts whose figures can be worked out by hand; and the cuts that tasks take by name."""

import numpy as np
import pytest

from thinwire.common.errors import TaskError
from thinwire.tasks import DeviceInfo, load_task
from thinwire.tasks.heterogeneity import heterogeneity
from thinwire.tasks.sharing import SCHEMES, Labels, Sharing

LABELS = Labels(np.repeat([0, 1, 2, 3], 8), np.tile([0, 1], 16), ("a", "b", "c", "d"))


def test_a_device_like_the_whole_is_at_no_distance() -> None:
    found = heterogeneity(LABELS, (np.arange(0, 32, 2), np.arange(1, 32, 2)))
    assert found.distance_D.tolist() == [0.0, 0.0]
    assert found.entropy_D.tolist() == [2.0, 2.0]
    assert found.whole_entropy == 2.0


def test_a_device_of_one_class_has_no_entropy_and_is_far_away() -> None:
    found = heterogeneity(LABELS, (np.arange(8), np.arange(8, 32)))
    assert found.entropy_D.tolist() == [0.0, pytest.approx(np.log2(3))]
    assert found.distance_D.tolist() == [0.75, pytest.approx(0.25)]
    assert found.devices()[0]["classes"] == {"a": 8, "b": 0, "c": 0, "d": 0}
    summary = found.summary()
    assert (summary["least"], summary["most"], summary["examples"], summary["classes_mean"]) == (8, 24, 32, 2.0)
    assert summary["imbalance"] == 0.5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_gives_each_example_once(scheme: str) -> None:
    shards = Sharing(scheme, alpha=0.3).cut(LABELS, 2)
    assert sorted(np.concatenate(shards).tolist()) == list(range(32))


def test_what_cannot_be_cut_is_told() -> None:
    with pytest.raises(TaskError, match="partition 'natural' for 2 devices: nobody owns these examples"):
        Sharing("natural").cut(Labels(LABELS.label_N, None, LABELS.classes), 2)
    with pytest.raises(TaskError, match="partition 'iid' for 40 devices: 40 shards of 32 examples"):
        Sharing("iid").cut(LABELS, 40)


@pytest.mark.parametrize("scheme", ["iid", "dirichlet", "classes", "quantity"])
def test_the_watch_s_windows_are_shared_out_each_to_one_device(scheme: str) -> None:
    task = load_task("watch", {"partition": scheme})
    sizes = [task.examples(DeviceInfo(f"d{shard}", shard, 7)) for shard in range(7)]
    assert sum(sizes) == 3918
    assert min(sizes) > 0


def test_two_classes_a_device_are_two_classes_in_its_batches() -> None:
    task = load_task("watch", {"partition": "classes", "per_device": 2, "batch_size": 300})
    _, label_B = next(task.batches(DeviceInfo("d", 3, 7)))
    assert len(label_B.unique()) == 2
