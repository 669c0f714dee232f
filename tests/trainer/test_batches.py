"""A trainer that is started in the place of another does not train on the same batches again."""

from dataclasses import asdict

import pytest
import torch

from thinwire.common import frames
from thinwire.common.values import Plan
from thinwire.tasks import load_task
from thinwire.trainer.worker import device_of


def first_batch(seed: int, next_seq: int) -> torch.Tensor:
    """Of the trainer whose next delta has this number."""
    start = frames.Start(
        task="watch", params={}, device="oak", shard=0, shards=4, seed=seed, data_dir="", threads=1,
        plan=asdict(Plan()), next_seq=next_seq,
    )  # fmt: skip
    batch: torch.Tensor = next(iter(load_task("watch").batches(device_of(start))))[0]
    return batch


@pytest.mark.parametrize("seed", [1, 2**63 - 1])
def test_each_life_of_a_device_has_batches_of_its_own_and_the_same_ones_whenever_it_is_lived(seed: int) -> None:
    lives = [first_batch(seed, next_seq) for next_seq in (1, 2, 9)]
    assert all(not torch.equal(one, other) for one, other in zip(lives, lives[1:] + lives[:1], strict=True))
    assert torch.equal(first_batch(seed, 9), lives[2])
