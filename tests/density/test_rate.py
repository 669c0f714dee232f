"""The update rate over time: the ladder, the window rule, and what undoes it. algorithms: docs/density.md."""

import math
from itertools import pairwise

import numpy as np
import pytest

from thinwire.server.density.rate import Rate
from thinwire.server.density.rules import DensityRules

RULES = DensityRules(policy="temporal", ladder=(0.3, 0.1, 0.05, 0.02), least=0.01, most=0.3)


def path(rate: Rate, gains: list[float], unsent: float = 1.0) -> list[float]:
    densities = []
    for gain in gains:
        rate.close_window(gain, unsent, RULES)
        densities.append(rate.density)
    return densities


@pytest.mark.parametrize(
    ("gains", "densities"),
    [
        pytest.param([0.2, 0.2, 0.2, 0.2], [0.1, 0.05, 0.02, 0.02], id="nothing is lost by sending less"),
        pytest.param([0.2, 0.14, 0.1, 0.07], [0.1, 0.05, 0.02, 0.02], id="0.7 of the pace is enough each time"),
        pytest.param([0.2, 0.15, 0.1], [0.1, 0.05, 0.1], id="the third rung costs too much: back to the second"),
        pytest.param([0.2, 0.13], [0.1, 0.3], id="the second costs too much: back to the first"),
        pytest.param([-0.1, -0.05, 0.0, 0.0], [0.1, 0.05, 0.02, 0.02], id="a loss that rose anyway blames no rung"),
        pytest.param([-0.1, -0.12], [0.1, 0.3], id="but one that rises faster does"),
    ],
)
def test_the_ladder_is_climbed_down_while_the_pace_holds(gains: list[float], densities: list[float]) -> None:
    assert path(Rate.at_start(RULES), gains)[: len(densities)] == densities


def test_a_steady_gain_between_the_two_marks_leaves_the_rate_alone() -> None:
    assert path(Rate(density=0.05), [0.006, 0.01, 0.02, 0.03]) == [0.05] * 4


@pytest.mark.parametrize("start", [0.01, 0.02, 0.05, 0.29])
def test_a_plateau_drives_the_rate_to_its_upper_bound_in_as_many_windows_as_the_factor_needs(start: float) -> None:
    windows = math.ceil(math.log(RULES.most / start) / math.log(1.5))
    densities = path(Rate(density=start), [0.0] * (windows + 1))
    assert densities[windows - 1 :] == [RULES.most] * 2
    assert all(density < RULES.most for density in densities[: windows - 1])


def test_good_progress_drives_it_to_its_lower_bound() -> None:
    assert path(Rate(density=0.02), [0.05] * 4) == [0.016, 0.0128, 0.01024, 0.01]


def test_where_nearly_all_is_sent_anyway_a_plateau_raises_nothing() -> None:
    assert path(Rate(density=0.05), [0.0, 0.0], unsent=0.01) == [0.05, 0.05]


def test_a_change_after_which_the_loss_rose_is_undone_and_the_rate_rests_for_two_windows() -> None:
    gains = [0.05, -0.006, 0.0, 0.05, 0.0]
    assert path(Rate(density=0.05), gains) == [0.04, 0.05, 0.05, 0.05, pytest.approx(0.075)]


def test_a_loss_that_rises_without_a_change_before_it_is_a_plateau() -> None:
    assert path(Rate(density=0.04), [0.01, -0.2]) == [0.04, pytest.approx(0.06)]


def test_a_gain_that_is_doubted_moves_nothing_until_windows_together_make_it_clear() -> None:
    rate = Rate(density=0.05)
    # Four windows at 0.05 are clear of the upper mark of 0.03 by 0.02; one of them alone is not, nor are three.
    for density in (0.05, 0.05, 0.05, 0.04):
        rate.close_window(0.05, 1.0, RULES, doubt=0.07)
        assert rate.density == pytest.approx(density)


def test_noise_around_a_steady_gain_moves_a_rate_less_when_it_is_known_for_noise() -> None:
    """Windows one after another share a loss, so what one gains too much the next gains too little."""
    draw = np.random.default_rng(0)
    noise = draw.normal(scale=0.03, size=401)
    gains = 0.015 + noise[:-1] - noise[1:]
    believed, doubted = Rate(density=0.05), Rate(density=0.05)
    paths: dict[str, list[float]] = {"believed": [], "doubted": []}
    for gain in gains:
        believed.close_window(float(gain), 1.0, RULES)
        doubted.close_window(float(gain), 1.0, RULES, doubt=0.03 * math.sqrt(2))
        paths["believed"].append(math.log(believed.density))
        paths["doubted"].append(math.log(doubted.density))
    moved = {name: sum(a != b for a, b in pairwise(path)) for name, path in paths.items()}
    assert moved["doubted"] < moved["believed"] / 4


def test_a_plateau_is_found_through_noise() -> None:
    rate, draw = Rate(density=0.05), np.random.default_rng(1)
    noise = draw.normal(scale=0.02, size=61)
    for before, after in pairwise(noise.tolist()):
        rate.close_window(before - after, 1.0, RULES, doubt=0.02 * math.sqrt(2))
    assert rate.density > 0.15
