"""Groups share one budget by what a little more density would recover."""

import pytest

from thinwire.server.density.allocate import allocate, need_of


def spent(densities: list[float], weights: list[float]) -> float:
    return sum(d * w for d, w in zip(densities, weights, strict=True)) / sum(weights)


def test_groups_that_lose_the_same_get_the_same() -> None:
    assert allocate([0.3, 0.3], [2, 5], 0.05, 0.01, 0.3) == pytest.approx([0.05, 0.05])


def test_densities_are_in_proportion_to_need_and_spend_the_budget() -> None:
    densities = allocate([1.0, 3.0], [1, 1], 0.05, 0.001, 1.0)
    assert densities == pytest.approx([0.025, 0.075])


@pytest.mark.parametrize("need", [[1.0, 50.0, 0.0], [1.0, 1e-9, 5.0], [0.0, 0.0, 2.0]])
def test_what_the_bounds_take_from_one_group_goes_to_the_others(need: list[float]) -> None:
    weights = [4.0, 1.0, 2.0]
    densities = allocate(need, weights, 0.05, 0.01, 0.3)
    assert all(0.01 <= density <= 0.3 for density in densities)
    assert spent(densities, weights) == pytest.approx(0.05)


def test_without_any_need_all_get_the_mean() -> None:
    assert allocate([0.0, 0.0], [1, 1], 0.05, 0.01, 0.3) == [0.05, 0.05]


def test_where_losses_fall_like_one_over_density_it_is_still_after_a_single_step() -> None:
    """E = C / rho with C of 1 and 4: the least total has densities like 1 to 2, whatever they were before."""
    for start in (0.02, 0.2):
        need = [need_of(1 / start, start), need_of(4 / 0.05, 0.05)]
        assert allocate(need, [1, 1], 0.06, 0.001, 1.0) == pytest.approx([0.04, 0.08])
