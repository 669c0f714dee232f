"""Which devices learn alike: spherical k-means on their directions, the number of groups by silhouette.

Spherical k-means (Dhillon and Modha, 2001) moves unit vectors to the nearest of k directions by cosine. The silhouette
(Rousseeuw, 1987) of a device is (b - a) / max(a, b): a its mean distance to the others in its group, b to the nearest
other group; of a device alone it is 0. Directions are normalised because longer training makes longer updates, and
groups are to be by data, not by time.

A few points can always be split so that the silhouette looks good. So there are two directions of each device, from
deltas in turn: a split found in one half is judged in the other, where noise is another and true groups are the same.

Nothing is drawn: k-means starts from the device that fits the mean least, then from whoever is farthest from those
chosen. N devices, S numbers each, G groups; distances are 1 - cosine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thinwire.server.sums import products

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

WORTH_IT = 0.1  # silhouette below which there is one group
PASSES = 10


def groups_of(half_2NS: NDArray[np.float32], most: int) -> Labels:
    """The group of each device, from 0; groups are numbered by their first device."""
    one_NS, other_NS = (unit(half_NS) for half_NS in half_2NS.astype(np.float64))
    whole_NS = unit(one_NS + other_NS)
    best_N, best = np.zeros(len(whole_NS), np.int64), WORTH_IT
    for groups in range(2, min(most, len(whole_NS) - 1) + 1):
        score = silhouette(other_NS, kmeans(one_NS, groups)) + silhouette(one_NS, kmeans(other_NS, groups))
        if score / 2 > best:
            best_N, best = kmeans(whole_NS, groups), score / 2
    return _in_order(best_N)


def silhouette(unit_NS: Floats, label_N: Labels) -> float:
    """The mean silhouette of unit vectors; 0 for one group. In time N G S: a mean of cosines is a cosine of means."""
    group_NG = np.eye(int(label_N.max()) + 1)[label_N]
    group_NG = group_NG[:, group_NG.any(axis=0)]
    size_G = group_NG.sum(axis=0)
    if len(size_G) < 2:
        return 0.0
    own_NG, others_N = group_NG.astype(bool), size_G[group_NG.argmax(axis=1)] - 1
    cosine_NG = products(unit_NS, np.stack([unit_NS[own_N].sum(axis=0) for own_N in own_NG.T]))
    # A device's own cosine to itself, 1, is not among those to the others.
    within_N = 1 - (cosine_NG[own_NG] - 1) / np.maximum(others_N, 1)
    near_N = np.where(own_NG, np.inf, 1 - cosine_NG / size_G).min(axis=1)
    score_N = (near_N - within_N) / np.maximum(np.maximum(near_N, within_N), 1e-12)
    return float(np.where(others_N == 0, 0.0, score_N).mean())


def kmeans(unit_NS: Floats, groups: int) -> Labels:
    """Labels of unit vectors; some groups may come out empty."""
    centre_GS = _spread(unit_NS, groups)
    label_N: Labels = products(unit_NS, centre_GS).argmax(axis=1)
    for _ in range(PASSES):
        for group in set(label_N.tolist()):
            centre_GS[group] = unit(unit_NS[label_N == group].sum(axis=0))
        moved_N = products(unit_NS, centre_GS).argmax(axis=1)
        if np.array_equal(moved_N, label_N):
            break
        label_N = moved_N
    return label_N


def _spread(unit_NS: Floats, groups: int) -> Floats:
    chosen = [int(products(unit_NS, unit_NS.sum(axis=0, keepdims=True)).argmin())]
    nearest_N = _cosines(unit_NS, chosen[0])
    while len(chosen) < groups:
        chosen.append(int(nearest_N.argmin()))
        nearest_N = np.maximum(nearest_N, _cosines(unit_NS, chosen[-1]))
    return unit_NS[chosen].copy()


def _cosines(unit_NS: Floats, device: int) -> Floats:
    return products(unit_NS, unit_NS[device : device + 1])[:, 0]


def unit(rows_S: Floats) -> Floats:
    """Each row at length 1; rows of zeros stay."""
    length = np.sqrt(np.add.reduce(np.square(rows_S), axis=-1, keepdims=True))
    unit_S: Floats = rows_S / np.where(length > 0, length, 1.0)
    return unit_S


def _in_order(label_N: Labels) -> Labels:
    _, first_G, place_N = np.unique(label_N, return_index=True, return_inverse=True)
    rank_G: Labels = np.argsort(np.argsort(first_G))
    ranked_N: Labels = rank_G[place_N]
    return ranked_N
