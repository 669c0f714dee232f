"""The watch's split keeps its promises, and its batches are the same wherever they are drawn."""

import itertools
from pathlib import Path

import crafted
import numpy as np
import pytest
import torch
from learning import losses

from thinwire.common.errors import TaskError
from thinwire.tasks import DeviceInfo, watch
from thinwire.tasks.watch import WatchActivity, read_recordings, windows

TEN = [DeviceInfo(f"watch-{shard}", shard, 10, seed=5) for shard in range(10)]


def test_no_recording_is_in_training_and_in_the_test() -> None:
    cut = windows()
    training, test = (set(cut.recording_N[mask].tolist()) for mask in (~cut.held_out_N, cut.held_out_N))
    assert not training & test
    assert (len(training), len(test)) == (117, 23)


def test_the_documented_numbers_hold() -> None:
    cut = windows()
    assert len(cut.label_N) == 4677
    assert cut.held_out_N.sum() == len(watch.held_out()) == 759
    assert sum(WatchActivity().examples(device) for device in TEN) == 4677 - 759
    assert sum(p.numel() for p in WatchActivity().model().parameters()) == 27_031


def test_every_person_and_every_exercise_is_in_both_parts() -> None:
    cut = windows()
    for mask in (cut.held_out_N, ~cut.held_out_N):
        assert set(cut.subject_N[mask].tolist()) == set(range(1, 11))
        assert set(cut.label_N[mask].tolist()) == set(range(7))


def test_windows_never_reach_over_a_recording_s_end() -> None:
    recordings = read_recordings(watch.FILE)
    lengths_R = np.diff(recordings["offsets"])
    assert np.bincount(windows().recording_N).tolist() == ((lengths_R - 100) // 50 + 1).tolist()


def test_the_constants_standardise_the_training_recordings() -> None:
    cut, recordings = windows(), read_recordings(watch.FILE)
    ranges = [np.arange(*recordings["offsets"][r : r + 2]) for r in np.unique(cut.recording_N[~cut.held_out_N])]
    sample_SC = recordings["samples"][np.concatenate(ranges)].astype(np.float64) * recordings["scale"]
    assert sample_SC.mean(0) == pytest.approx(watch.MEAN_C, abs=5.1e-5)
    assert sample_SC.std(0) == pytest.approx(watch.DEVIATION_C, abs=5.1e-5)


def test_a_batch_is_twenty_windows_of_six_channels() -> None:
    input_BCT, label_B = next(WatchActivity().batches(TEN[0]))
    assert (input_BCT.shape, input_BCT.dtype) == ((20, 6, 100), torch.float32)
    assert (label_B.shape, label_B.dtype) == ((20,), torch.int64)


def test_batches_are_the_same_for_the_same_seed_only() -> None:
    def first_inputs(device: DeviceInfo) -> torch.Tensor:
        return torch.cat([inputs for inputs, _ in itertools.islice(WatchActivity().batches(device), 3)])

    again = DeviceInfo("another name", 0, 10, seed=5)
    other_seed, same_person = DeviceInfo("a", 0, 10, seed=6), DeviceInfo("b", 10, 20, seed=5)
    assert torch.equal(first_inputs(TEN[0]), first_inputs(again))
    assert not torch.equal(first_inputs(TEN[0]), first_inputs(other_seed))
    assert not torch.equal(first_inputs(TEN[0]), first_inputs(same_person))


def test_one_device_has_one_person() -> None:
    cut = windows()
    first, second = watch.person(0), watch.person(1)
    assert len(first) == ((cut.subject_N == 1) & ~cut.held_out_N).sum()
    assert not torch.equal(first.input_N[:100], second.input_N[:100])
    assert torch.equal(watch.person(10).input_N, first.input_N)


def test_a_few_steps_reduce_the_loss() -> None:
    torch.manual_seed(0)
    task = WatchActivity()
    found = losses(task, task.model(), itertools.islice(task.batches(TEN[0]), 40), lr=0.05)
    assert sum(found[-5:]) < 0.8 * sum(found[:5])


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_model_as_it_was(training: bool) -> None:
    model = WatchActivity(norm="batch").model().train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measures = WatchActivity().evaluate(model)
    assert 0 <= measures["accuracy"] <= 1
    assert measures["loss"] > 0
    assert model.training is training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_only_batch_norm_has_buffers_that_must_travel() -> None:
    assert not list(WatchActivity().model().buffers())
    buffers = dict(WatchActivity(norm="batch").model().named_buffers())
    assert sum(name.endswith("running_mean") for name in buffers) == 2


def test_the_licence_lies_beside_the_data() -> None:
    notice = watch.FILE.with_name("watch_activity.LICENSE.md").read_text()
    assert "Redistribution and use in source and binary forms" in notice
    assert "seglearn" in notice


DAMAGE = {
    "offsets that leave a gap": ("offsets", lambda offsets: offsets + 1),
    "offsets that go back": ("offsets", lambda offsets: offsets[[0, 2, 1, *range(3, 141)]]),
    "offsets beyond the samples": ("offsets", lambda offsets: offsets * 2),
    "an eighth exercise": ("label", lambda label: label + 1),
    "an eleventh person": ("subject", lambda subject: subject + 1),
    "a third arm": ("side", lambda side: side + 1),
    "other classes": ("classes", lambda classes: classes[::-1]),
    "float samples": ("samples", lambda samples: samples.astype(np.float32)),
    "objects": ("samples", lambda samples: samples[:, 0].astype(object)),
    "a channel too few": ("samples", lambda samples: samples[:, :5]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(damage: str, tmp_path: Path) -> None:
    name, change = DAMAGE[damage]
    damaged = crafted.damaged(watch.FILE, tmp_path / "watch.npz", name, change)
    with pytest.raises(TaskError, match=r"watch\.npz"):
        read_recordings(damaged)


@pytest.mark.parametrize(("params", "message"), [
    ({"batch_size": 0}, "batch_size is 0; it must be 1 to 4096"),
    ({"norm": "layer"}, "norm is 'layer'; it must be one of 'group', 'batch'"),
])  # fmt: skip
def test_a_wrong_parameter_says_what_is_allowed(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WatchActivity(**params)  # type: ignore[arg-type]
