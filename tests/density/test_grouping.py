"""Devices are grouped by what they learn, and not at all when they learn the same."""

import numpy as np
import pytest

from thinwire.server.density.grouping import groups_of, kmeans, silhouette, unit
from thinwire.server.density.sketch import BUCKETS, Sketches, sketch

DEVICES = 12


def halves(truth: list[int], seed: int, noise: float) -> np.ndarray:
    """Two independent noisy looks at each device's true direction."""
    draw = np.random.default_rng(seed)
    direction = draw.normal(size=(max(truth) + 1, BUCKETS))
    return (direction[truth] + noise * draw.normal(size=(2, len(truth), BUCKETS))).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("groups", [2, 3, 4])
def test_planted_groups_are_found_exactly_and_numbered_by_their_first_device(groups: int, seed: int) -> None:
    truth = [number % groups for number in range(DEVICES)]
    assert groups_of(halves(truth, seed, noise=1.0), most=4).tolist() == truth


@pytest.mark.parametrize("seed", range(20))
def test_one_population_is_one_group_however_noisy(seed: int) -> None:
    for noise in (0.1, 1.0, 10.0):
        assert not groups_of(halves([0] * DEVICES, seed, noise), most=4).any()


def test_the_split_that_looks_best_in_noise_is_judged_where_the_noise_is_another() -> None:
    """Why there are two halves: many such splits would pass in the half that they were made for."""
    looks = 0
    for seed in range(20):
        unit_NS = unit(halves([0] * 6, seed, noise=1.0)[0].astype(np.float64))
        looks += max(silhouette(unit_NS, kmeans(unit_NS, groups)) for groups in (2, 3, 4)) > 0.1
    assert looks >= 5


def test_a_silhouette_by_its_definition() -> None:
    draw = np.random.default_rng(3)
    unit_NS = draw.normal(size=(7, 5))
    unit_NS /= np.linalg.norm(unit_NS, axis=1, keepdims=True)
    label_N = np.array([0, 0, 1, 1, 1, 2, 0])
    distance_NN = 1 - unit_NS @ unit_NS.T
    scores = []
    for device in range(7):
        own = [other for other in range(7) if label_N[other] == label_N[device] and other != device]
        near = min(distance_NN[device, label_N == group].mean() for group in {0, 1, 2} - {label_N[device]})
        within = distance_NN[device, own].mean() if own else 0.0
        scores.append((near - within) / max(near, within) if own else 0.0)
    assert silhouette(unit_NS, label_N) == pytest.approx(np.mean(scores))


def test_devices_that_are_too_few_or_have_sent_nothing_are_one_group() -> None:
    assert groups_of(np.zeros((2, 1, BUCKETS), np.float32), most=4).tolist() == [0]
    assert groups_of(np.zeros((2, 5, BUCKETS), np.float32), most=4).tolist() == [0] * 5


def test_a_sketch_is_linear_and_keeps_inner_products() -> None:
    draw = np.random.default_rng(0)
    index_K = np.arange(20_000)
    first_K, second_K = draw.normal(size=(2, index_K.size)).astype(np.float32)
    together = sketch(index_K, first_K + second_K)
    assert together == pytest.approx(sketch(index_K, first_K) + sketch(index_K, second_K), abs=1e-3)
    inner = sketch(index_K, first_K) @ sketch(index_K, first_K + second_K)
    expected = first_K @ (first_K + second_K)
    assert abs(inner - expected) < 4 * np.linalg.norm(first_K) * np.linalg.norm(first_K + second_K) / 8


def test_deltas_go_into_two_sketches_in_turn_and_each_counts_the_same() -> None:
    sketches, index_K = Sketches(), np.array([3])
    for value in (1.0, 5.0, 100.0):
        sketches.add(index_K, np.array([value], np.float32))
    assert np.abs(sketches.half_2S).sum(axis=1).tolist() == pytest.approx([1.8, 1.0])
