"""What a commit is made of when its deltas lie on coordinates from a seed."""

import hashlib

import numpy as np
import pytest
from coordinator_story import LAYOUT, SIZE, Fleet, one

from thinwire.common.codec import Limits, Packet, ValueCode, pack, quantise, unpack
from thinwire.common.codec.mask import drawn
from thinwire.server.effects import Published
from thinwire.server.events import DeltaSealed

TOP = None


def sealed(device: str, seed: int | None, kept: int) -> DeltaSealed:
    index_K = np.arange(kept) if seed is None else drawn(seed, kept, SIZE)
    values = quantise(np.ones(kept, np.float32), ValueCode.FP32)
    body = pack(Packet(LAYOUT.hash, 0, SIZE, index_K, values, seed=seed))
    return DeltaSealed(device, 1, 1, hashlib.sha256(body).digest(), body)


@pytest.mark.parametrize(
    ("masks", "seed", "kept"),
    [
        (((7, 2), (7, 2)), 7, 2),
        (((7, 1), (7, 3)), 7, 3),
        (((7, 3), (7, 1)), 7, 3),
        (((7, 2), (8, 2)), None, SIZE),
        (((7, 2), (TOP, 2)), None, SIZE),
        (((TOP, 2), (TOP, 2)), None, SIZE),
    ],
)
def test_a_commit_lies_on_the_one_mask_of_its_deltas_or_on_none(
    masks: tuple[tuple[int | None, int], ...], seed: int | None, kept: int
) -> None:
    """Devices at different rates share one: the larger holds the smaller."""
    fleet = Fleet()
    fleet.join("oak", "elm")
    (first, second) = (sealed(name, *mask) for name, mask in zip(("oak", "elm"), masks, strict=True))
    commit = one(fleet.happens(first, second), Published).commit
    found = unpack(commit.payload, Limits(LAYOUT.hash, SIZE, SIZE))
    assert (found.seed, commit.kept) == (seed, kept)
    assert not fleet.core.model.residual_P.any(), "nothing is left out"
