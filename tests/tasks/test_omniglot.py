"""Omniglot's split keeps its promises: every writer is measured, on characters that others drew for the training."""

import hashlib
import itertools
from pathlib import Path

import crafted
import numpy as np
import pytest
import torch
from learning import losses

from thinwire.common.errors import TaskError
from thinwire.tasks import DeviceInfo, omniglot
from thinwire.tasks.omniglot import Omniglot, drawings, read_drawings, training

FORTY = [DeviceInfo(f"tablet-{shard}", shard, 40, seed=5) for shard in range(40)]
NOTICE = omniglot.FILE.with_name("omniglot_small.LICENSE.md")


def test_the_documented_numbers_hold() -> None:
    every = drawings()
    assert len(every.character_N) == 4840
    assert every.held_out_N.sum() == len(omniglot.held_out()) == 968
    assert sum(Omniglot().examples(device) for device in FORTY) == 4840 - 968
    assert sum(p.numel() for p in Omniglot().model().parameters()) == 66_618
    assert len(set(every.classes)) == 242


def test_one_in_five_of_each_writer_is_held_out() -> None:
    every = drawings()
    held_W, all_W = np.bincount(every.writer_N[every.held_out_N]), np.bincount(every.writer_N)
    assert len(held_W) == len(all_W) == 160
    assert (held_W.min(), held_W.max()) == (3, 10)
    assert np.abs(held_W / all_W - 0.2).max() < 0.05


def test_every_character_has_four_held_out_hands_and_sixteen_to_learn_from() -> None:
    every = drawings()
    assert set(np.bincount(every.character_N[every.held_out_N]).tolist()) == {4}
    assert set(np.bincount(every.character_N[training()]).tolist()) == {16}


def test_a_device_has_whole_writers_and_no_one_else_has_them() -> None:
    owner_M = np.asarray(Omniglot().labels().owner_N)
    devices_of: dict[int, set[int]] = {}
    for device in FORTY:
        for writer in owner_M[omniglot._cut(Omniglot().sharing, 40)[device.shard]].tolist():
            devices_of.setdefault(writer, set()).add(device.shard)
    assert sorted(devices_of) == list(range(160))
    assert all(len(devices) == 1 for devices in devices_of.values())


def test_with_as_many_devices_as_writers_each_knows_one_alphabet() -> None:
    labels = Omniglot().labels()
    shards = omniglot._cut(Omniglot().sharing, 160)
    alphabets = [{labels.classes[c].split("/")[0] for c in np.asarray(labels.label_N)[index_M]} for index_M in shards]
    assert all(len(names) == 1 for names in alphabets)
    with pytest.raises(TaskError, match="161 shards of 160 owners"):
        Omniglot().examples(DeviceInfo("one too many", 0, 161))


def test_the_constants_standardise_the_training_drawings() -> None:
    pixel_NHW = drawings().image_NHW[training()] / 255
    assert pixel_NHW.mean() == pytest.approx(omniglot.MEAN, abs=5.1e-5)
    assert pixel_NHW.std() == pytest.approx(omniglot.DEVIATION, abs=5.1e-5)


def test_a_batch_is_twenty_drawings_in_bytes() -> None:
    pixel_BCHW, label_B = next(Omniglot().batches(FORTY[0]))
    assert (pixel_BCHW.shape, pixel_BCHW.dtype) == ((20, 1, 28, 28), torch.uint8)
    assert (label_B.shape, label_B.dtype) == ((20,), torch.int64)


def test_batches_are_the_same_for_the_same_seed_only() -> None:
    def first_pixels(device: DeviceInfo) -> torch.Tensor:
        return torch.cat([pixels for pixels, _ in itertools.islice(Omniglot().batches(device), 3)])

    again, other_seed = DeviceInfo("another name", 0, 40, seed=5), DeviceInfo("a", 0, 40, seed=6)
    assert torch.equal(first_pixels(FORTY[0]), first_pixels(again))
    assert not torch.equal(first_pixels(FORTY[0]), first_pixels(other_seed))


def test_a_shift_moves_the_ink_and_loses_none() -> None:
    still, moving = (
        list(itertools.islice(Omniglot(shift=shift).batches(FORTY[0]), 8)) for shift in (0, 2)
    )
    assert all(torch.equal(a.sum((1, 2, 3)), b.sum((1, 2, 3))) for (a, _), (b, _) in zip(still, moving, strict=True))
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(still, moving, strict=True))
    assert any(not torch.equal(a, b) for (a, _), (b, _) in zip(still, moving, strict=True))


def test_a_few_steps_reduce_the_loss() -> None:
    torch.manual_seed(0)
    task = Omniglot()
    found = losses(task, task.model(), itertools.islice(task.batches(FORTY[0]), 60), lr=0.1)
    assert sum(found[-5:]) < 0.8 * sum(found[:5])


def test_an_untrained_model_is_measured_and_has_no_buffers() -> None:
    model = Omniglot().model()
    measures = Omniglot().evaluate(model)
    assert 0 <= measures["accuracy"] < 0.1
    assert not list(model.buffers())


def test_the_notice_has_the_licence_and_the_file_s_sum() -> None:
    notice = NOTICE.read_text()
    assert "Permission is hereby granted, free of charge" in notice
    assert "brendenlake/omniglot" in notice
    assert hashlib.sha256(omniglot.FILE.read_bytes()).hexdigest() in notice


DAMAGE = {
    "a character too many": ("character", lambda character: character + 1),
    "a drawer twice": ("drawer", lambda drawer: np.ones_like(drawer)),
    "a twenty-first drawer": ("drawer", lambda drawer: drawer + 1),
    "a ninth alphabet": ("alphabet", lambda alphabet: alphabet + 1),
    "alphabets out of order": ("alphabet", lambda alphabet: alphabet[::-1]),
    "float pixels": ("image", lambda image: image.astype(np.float32)),
    "objects": ("image", lambda image: image[:, 0, 0].astype(object)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(damage: str, tmp_path: Path) -> None:
    name, change = DAMAGE[damage]
    damaged = crafted.damaged(omniglot.FILE, tmp_path / "omniglot.npz", name, change)
    with pytest.raises(TaskError, match=r"omniglot\.npz"):
        read_drawings(damaged)


@pytest.mark.parametrize(("params", "message"), [
    ({"batch_size": 0}, "batch_size is 0; it must be 1 to 4096"),
    ({"shift": 15}, "shift is 15; it must be 0 to 14 pixels"),
    ({"partition": "by hand"}, "partition is 'by hand'"),
])  # fmt: skip
def test_a_wrong_parameter_says_what_is_allowed(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Omniglot(**params)  # type: ignore[arg-type]
