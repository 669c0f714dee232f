"""How one labelled data set becomes the data of many devices, in the ways that studies of federated training use.

| function  | what a device sees                                                     | literature                |
| --------- | ---------------------------------------------------------------------- | ------------------------- |
| iid       | a fair sample of everything                                            |                           |
| dirichlet | classes in proportions drawn from Dirichlet(alpha); 0.1 harsh, 10 mild | Hsu et al. 2019           |
| classes   | the same small number of classes each, none of the others              | McMahan et al. 2017       |
| quantity  | all classes, but amounts drawn from Dirichlet(alpha)                   | Li et al. 2022            |
| natural   | what belongs to its own people, machines or places                     | LEAF, Caldas et al. 2018  |

Invariants: every example is in exactly one shard (but for one_owner_each); no shard is empty; a shard's indices
ascend; the same arguments give the same shards on every machine, for each device cuts its own shard without asking
anyone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Index = NDArray[np.int64]
Shards = tuple[Index, ...]

LEAST_ALPHA, MOST_ALPHA = 1e-3, 1e6  # beyond these the draws are exactly 0 and 1, or all equal


def iid(label_N: ArrayLike, shards: int, seed: int) -> Shards:
    """Deal the examples out at random, in parts that differ by one at most."""
    num = _count(label_N, shards)
    return _sorted(np.array_split(_generator(seed).permutation(num), shards))


def dirichlet(label_N: ArrayLike, shards: int, seed: int, *, alpha: float) -> Shards:
    """Share each class out in proportions drawn from Dirichlet(alpha)."""
    _count(label_N, shards)
    check_alpha(alpha)
    draw = _generator(seed)
    parts: list[list[Index]] = [[] for _ in range(shards)]
    for index_M in _by_value(label_N):
        share = draw.dirichlet(np.full(shards, alpha))
        cuts = np.floor(np.cumsum(share)[:-1] * len(index_M)).astype(np.int64)
        for part, piece in zip(parts, np.split(draw.permutation(index_M), cuts), strict=True):
            part.append(piece)
    return _sorted(_without_empty([np.concatenate(part) for part in parts]))


def classes(label_N: ArrayLike, shards: int, seed: int, *, per_device: int) -> Shards:
    """Give each shard exactly `per_device` classes, and each class to as many shards as any other, or one more."""
    _count(label_N, shards)
    draw = _generator(seed)
    groups = _by_value(label_N)
    holders = _holders(len(groups), shards, per_device, draw.permutation(len(groups)))
    parts: list[list[Index]] = [[] for _ in range(shards)]
    for index_M, holding in zip(groups, holders, strict=True):
        if len(index_M) < len(holding):
            raise ValueError(f"a class of {len(index_M)} examples cannot be shared by {len(holding)} shards")
        for shard, piece in zip(holding, np.array_split(draw.permutation(index_M), len(holding)), strict=True):
            parts[shard].append(piece)
    return _sorted([np.concatenate(part) for part in parts])


def quantity(label_N: ArrayLike, shards: int, seed: int, *, alpha: float) -> Shards:
    """Deal the examples out at random, in amounts drawn from Dirichlet(alpha)."""
    num = _count(label_N, shards)
    check_alpha(alpha)
    draw = _generator(seed)
    share = draw.dirichlet(np.full(shards, alpha))
    cuts = np.floor(np.cumsum(share)[:-1] * num).astype(np.int64)
    return _sorted(_without_empty(np.split(draw.permutation(num), cuts)))


def natural(owner_N: ArrayLike, shards: int) -> Shards:
    """Keep what belongs together: owners, in ascending order, are dealt to the shards in turn."""
    owners = _by_value(owner_N)
    if not 1 <= shards <= len(owners):
        raise ValueError(f"{shards} shards of {len(owners)} owners; there must be 1 to {len(owners)}")
    return _sorted([np.concatenate(owners[shard::shards]) for shard in range(shards)])


def one_owner_each(owner_N: ArrayLike, shards: int) -> Shards:
    """Give each shard one owner, in ascending order, over and over: the one cut whose examples may be in several."""
    owners = _by_value(owner_N)
    return _sorted([owners[shard % len(owners)] for shard in range(shards)])


def _holders(num_classes: int, shards: int, per_device: int, order: Index) -> list[list[int]]:
    # Runs of the same order, laid end to end: any per_device neighbours are distinct classes.
    if not 1 <= per_device <= num_classes:
        raise ValueError(f"per_device is {per_device}; with {num_classes} classes it must be 1 to {num_classes}")
    if shards * per_device < num_classes:
        raise ValueError(
            f"per_device is {per_device}; that leaves some of the {num_classes} classes out, "
            f"so it must be {math.ceil(num_classes / shards)} or more"
        )
    holders: list[list[int]] = [[] for _ in range(num_classes)]
    for slot in range(shards * per_device):
        holders[order[slot % num_classes]].append(slot // per_device)
    return holders


def _without_empty(parts: list[Index]) -> list[Index]:
    for shard, part in enumerate(parts):
        if len(part) == 0:
            giver = max(range(len(parts)), key=lambda other: len(parts[other]))
            parts[giver], parts[shard] = parts[giver][:-1], parts[giver][-1:]
    return parts


def _by_value(label_N: ArrayLike) -> list[Index]:
    label_N = np.asarray(label_N)
    order_N = np.argsort(label_N, kind="stable")
    borders = np.flatnonzero(np.diff(label_N[order_N])) + 1
    return list(np.split(order_N, borders))


def _count(label_N: ArrayLike, shards: int) -> int:
    num = len(np.asarray(label_N))
    if not 1 <= shards <= num:
        raise ValueError(f"{shards} shards of {num} examples; there must be 1 to {num}")
    return num


def check_alpha(alpha: float) -> None:
    """Refuse a concentration that Dirichlet cannot draw from."""
    if not LEAST_ALPHA <= alpha <= MOST_ALPHA:
        raise ValueError(f"alpha is {alpha}; it must be {LEAST_ALPHA} to {MOST_ALPHA:.0f}")


def _generator(seed: int) -> np.random.Generator:
    # Named, because default_rng may change its algorithm between numpy versions, and then devices would disagree.
    return np.random.Generator(np.random.PCG64(seed))


def _sorted(parts: list[Index]) -> Shards:
    return tuple(np.sort(part).astype(np.int64) for part in parts)
