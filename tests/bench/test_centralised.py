"""The yardstick trains on the data of all devices, mixed, and measures as often as it is told to."""

import itertools
from collections.abc import Iterator

import pytest
import torch
from click.testing import CliRunner

from thinwire.bench.centralised import Training, main, mixed, run, run_averaged

torch.set_num_threads(1)
TINY = Training(seed=3, devices=2, every=2)


def numbered(begin: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    while True:
        yield torch.arange(begin, begin + 5), torch.arange(begin, begin + 5)


def test_mixed_batches_have_every_device_s_examples_each_with_its_label() -> None:
    batches = list(itertools.islice(mixed([numbered(0), numbered(5)], seed=1), 2))
    assert sorted(torch.cat([inputs for inputs, _ in batches]).tolist()) == list(range(10))
    assert all(torch.equal(*batch) for batch in batches)
    assert any(0 < (inputs < 5).sum() < 5 for inputs, _ in batches)


def test_batches_that_nobody_can_look_into_take_turns() -> None:
    assert list(itertools.islice(mixed([itertools.repeat("a"), itertools.repeat("b")], seed=1), 4)) == list("abab")


def test_measurements_come_at_their_steps_and_at_the_end() -> None:
    assert [row.steps for row in run("watch", 5, TINY)] == [2, 4, 5]
    assert [row.steps for row in run_averaged("watch", 3, 4, TINY)] == [8, 12]


def test_the_same_seed_gives_the_same_accuracies() -> None:
    assert run("watch", 2, TINY) == run("watch", 2, TINY)


def test_one_device_averaged_with_itself_is_plain_training() -> None:
    alone = Training(seed=3, devices=1, every=1)
    by_round = run_averaged("watch", 2, 1, alone)
    at_once = run_averaged("watch", 1, 2, alone)
    assert by_round[-1].loss == pytest.approx(at_once[-1].loss)


def test_the_command_prints_a_line_for_each_measurement() -> None:
    result = CliRunner().invoke(main, ["watch", "--steps", "2", "--every", "1", "--devices", "2"])
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) == 2
    assert "accuracy 0." in result.output
