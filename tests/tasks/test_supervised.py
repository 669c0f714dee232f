"""Batches come for ever, and each pass over the examples takes none of them twice."""

import itertools

import pytest
import torch
from torch import nn

from thinwire.tasks.supervised import Examples, batch_seed


def numbered(num: int) -> Examples:
    return Examples(torch.arange(num), torch.arange(num))


def test_a_pass_takes_no_example_twice_and_the_next_is_in_another_order() -> None:
    batches = numbered(20).endless(5, seed=1)
    passes = [torch.cat([inputs for inputs, _ in itertools.islice(batches, 4)]).tolist() for _ in range(2)]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(20))
    assert passes[0] != passes[1]


def test_what_fills_no_batch_is_left_out_of_a_pass_but_not_for_ever() -> None:
    batches = [inputs.tolist() for inputs, _ in itertools.islice(numbered(23).endless(5, seed=1), 60)]
    assert {len(batch) for batch in batches} == {5}
    assert set(itertools.chain(*batches)) == set(range(23))


def test_a_device_with_less_than_a_batch_trains_on_what_it_has() -> None:
    inputs, _ = next(numbered(3).endless(20, seed=1))
    assert sorted(inputs.tolist()) == [0, 1, 2]


def test_labels_stay_with_their_inputs() -> None:
    assert all(torch.equal(*batch) for batch in itertools.islice(numbered(20).endless(5, seed=1), 10))


def test_devices_of_one_run_draw_different_orders() -> None:
    assert len({batch_seed(seed, shard) for seed in range(10) for shard in range(1000)}) == 10_000


def test_measures_do_not_depend_on_the_batches_they_are_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    examples = Examples(torch.randn(50, 4), torch.randint(0, 3, (50,)))
    at_once = examples.measure(model)
    monkeypatch.setattr("thinwire.tasks.supervised.EVALUATION_BATCH", 7)
    assert examples.measure(model) == pytest.approx(at_once)
