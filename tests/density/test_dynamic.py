"""Density paths of whole policies: what was observed goes in, and each is exact."""

import json
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
from density_story import delta, round_of, rounds

from thinwire.common.settings import CoordinatorSettings, loads
from thinwire.server.density import DensityPolicy, DensityRules, Dynamic
from thinwire.server.training import density_rules_of

NAMES = [f"device-{number}" for number in range(8)]
IN_TIME = {"window": 2, "ladder": ()}


def policy(name: str, **rules: object) -> DensityPolicy:
    return Dynamic(DensityRules(policy=name, **rules))


def losses(*by_round: float, names: list[str] = NAMES) -> list[Mapping[str, float]]:
    return [dict.fromkeys(names, loss) for loss in by_round]


def falling(share: float, windows: int, window: int = 2) -> list[Mapping[str, float]]:
    """A loss that falls by this share of itself from each window to the next."""
    return losses(*(2.0 * (1 - share) ** (number // window) for number in range(windows * window)))


def test_temporal_compares_a_window_with_the_one_before_so_the_first_changes_nothing() -> None:
    path = rounds(policy("temporal", **IN_TIME), falling(0.1, 4))
    assert path == [0.05, 0.05, 0.05, 0.04, 0.04, 0.032, 0.032, pytest.approx(0.0256)]


def test_temporal_walks_the_ladder_then_follows_the_window_rule() -> None:
    ladder = (0.3, 0.1, 0.05)
    temporal = policy("temporal", window=1, ladder=ladder)
    # Falls by 20, 20 and 10 percent: the third rung does not keep pace. Then a plateau.
    path = rounds(temporal, losses(1.0, 0.8, 0.64, 0.576, 0.576, 0.576, 0.576))
    assert path == [0.3, 0.1, 0.05, 0.1, pytest.approx(0.15), pytest.approx(0.225), 0.3]


def test_the_downlink_keeps_the_ratio_of_the_two_settings() -> None:
    temporal = policy("temporal", up=0.05, down=0.1, window=1, ladder=(0.3, 0.1))
    assert temporal.down == pytest.approx(0.6)
    rounds(temporal, losses(1.0, 0.8))
    assert temporal.down == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["fixed", "temporal"])
def test_the_downlink_counts_a_device_that_its_link_bounds_with_what_it_sends(name: str) -> None:
    """A plateau takes the rate to 0.3, which three of four devices do not send; a fixed one stays at 0.05."""
    of = policy(name, up=0.05, down=0.1, window=1, ladder=(), by_link=True)
    for _ in range(8):
        rate = of.density_of(NAMES[0])
        bounded = [delta(device, 1.0, density=0.01) for device in NAMES[1:4]]
        round_of(of, [delta(NAMES[0], 1.0, density=rate), *bounded])
    assert of.density_of(NAMES[1]) == (0.05 if name == "fixed" else 0.3)
    assert of.down == pytest.approx(2 * (of.density_of(NAMES[0]) + 3 * 0.01) / 4)
    # Once its link has got better it counts with its rate again.
    round_of(of, [delta(device, 1.0, density=rate) for device in NAMES[:4]])
    assert of.down == pytest.approx(2 * rate)


def test_a_fixed_rate_is_followed_only_where_links_may_lower_it() -> None:
    plain, aware = (loads("", CoordinatorSettings, (f"density.link_aware={word}",)) for word in ("false", "true"))
    assert density_rules_of(plain) is None
    assert density_rules_of(aware) == DensityRules(policy="fixed", up=0.05, down=0.1, most=0.05, window=5, by_link=True)


def test_a_rate_that_has_just_risen_is_no_bound() -> None:
    """Deltas of the round before are held against the rate of the round before."""
    of = policy("temporal", up=0.05, down=0.1, window=1, ladder=(), by_link=True)
    for rate in (0.05, 0.05, 0.075, 0.1125):
        assert of.density_of(NAMES[0]) == pytest.approx(rate)
        assert of.down == pytest.approx(2 * rate)
        round_of(of, [delta(device, 1.0, density=rate) for device in NAMES])


def test_a_window_is_so_many_deltas_of_each_device_whatever_a_commit_holds() -> None:
    in_rounds, one_by_one = (policy("temporal", **IN_TIME) for _ in range(2))
    for row in falling(0.1, 4):
        round_of(in_rounds, [delta(name, loss) for name, loss in row.items()])
        for name, loss in row.items():
            round_of(one_by_one, [delta(name, loss)])
    assert one_by_one.density_of(NAMES[0]) == in_rounds.density_of(NAMES[0]) == pytest.approx(0.0256)


def test_one_device_that_lies_about_its_loss_moves_nothing() -> None:
    honest, infiltrated = (policy("temporal", **IN_TIME) for _ in range(2))
    told = falling(0.1, 5)
    lies = [{**row, NAMES[3]: 10.0**number} for number, row in enumerate(told)]
    assert rounds(honest, told) == rounds(infiltrated, lies)


def test_a_window_about_which_devices_disagree_moves_nothing_yet() -> None:
    agreed, split = (policy("temporal", window=1, ladder=()) for _ in range(2))
    gains = (-0.07, -0.05, -0.03, -0.01, 0.01, 0.03, 0.05, 0.07)
    apart = dict(zip(NAMES, (1.0 - gain for gain in gains), strict=True))
    assert rounds(agreed, losses(1.0, 1.01)) == [0.05, pytest.approx(0.075)]
    assert rounds(split, [*losses(1.0), apart]) == [0.05, 0.05]
    # It is weighed together with the next ones, in which nobody gains anything: in the end that is a plateau.
    assert rounds(split, [apart] * 3) == [0.05, 0.05, pytest.approx(0.075)]


def test_devices_that_tell_no_loss_leave_the_rate_alone() -> None:
    temporal = policy("temporal", **IN_TIME)
    for _ in range(8):
        round_of(temporal, [delta(name, None) for name in NAMES])
    assert temporal.density_of(NAMES[0]) == 0.05


def test_bounds_of_one_freeze_every_rate_at_one() -> None:
    for name in ("temporal", "spatial", "spatio-temporal"):
        frozen = policy(name, up=1.0, down=1.0, least=1.0, most=1.0, ladder=(), window=2)
        assert set(rounds(frozen, falling(0.3, 4) + falling(0.0, 4))) == {1.0}
        assert frozen.down == 1.0


# -- space ---------------------------------------------------------------------------------------------------------


def grouped_round(of: DensityPolicy, number: int, *, loss: Mapping[int, float], energy: Mapping[int, float]) -> None:
    """Even devices learn one thing, odd ones another."""
    kinds = [(name, place % 2, 100 + 10 * number + place) for place, name in enumerate(NAMES)]
    round_of(of, [delta(name, loss[k], energy=energy[k], toward=1 + k, noise=noise) for name, k, noise in kinds])


SAME = {0: 1.0, 1: 1.0}


@pytest.mark.parametrize("name", ["spatial", "spatio-temporal"])
def test_planted_groups_are_found_within_two_groupings(name: str) -> None:
    of = policy(name, **IN_TIME)
    for number in range(8):
        grouped_round(of, number, loss=SAME, energy=SAME)
    assert [of.group_of(device) for device in NAMES] == [0, 1] * 4
    assert [group.devices for group in of.groups] == [4, 4]


def test_one_population_stays_one_group() -> None:
    of = policy("spatial", **IN_TIME)
    for number in range(16):
        round_of(of, [delta(name, 1.0, toward=1, noise=100 + 10 * number + p) for p, name in enumerate(NAMES)])
    assert [group.devices for group in of.groups] == [8]


def test_spatial_gives_more_to_the_group_that_leaves_more_unsent_at_the_same_mean() -> None:
    of = policy("spatial", **IN_TIME)
    for number in range(4):
        # A delta has energy 1, so the first group leaves 3 unsent and the second 12.
        grouped_round(of, number, loss=SAME, energy={0: 4.0, 1: 13.0})
    assert [of.density_of(NAMES[0]), of.density_of(NAMES[1])] == pytest.approx([0.1 / 3, 0.2 / 3], rel=1e-5)
    assert of.down == pytest.approx(0.1)


def test_in_space_and_time_each_group_follows_its_own_loss() -> None:
    of = policy("spatio-temporal", **IN_TIME)
    for number in range(12):
        window = number // 2
        grouped_round(of, number, loss={0: 2.0 * 0.9**window, 1: 1.0}, energy={0: 4.0, 1: 4.0})
    fast, slow = of.density_of(NAMES[0]), of.density_of(NAMES[1])
    # Together for two windows, of which one could be compared, and half of them stood still; then four apart.
    together = 0.075
    assert fast == pytest.approx(together / 1.25**4)
    assert slow == pytest.approx(min(0.3, together * 1.5**4))
    assert of.down == pytest.approx(2 * (fast + slow) / 2)


def test_a_regrouping_gives_each_new_group_the_mean_of_its_members_old_rates() -> None:
    of = policy("spatio-temporal", **IN_TIME)
    for number in range(12):
        grouped_round(of, number, loss={0: 2.0 * 0.9 ** (number // 2), 1: 1.0}, energy={0: 4.0, 1: 4.0})
    before = [of.density_of(name) for name in NAMES]
    # From here on they all learn the same, at a gain that changes no rate.
    for number in range(12, 24):
        rows = [
            delta(name, 1.0 * 0.99 ** (number // 2), toward=5, noise=1000 + 10 * number + place, energy=4.0)
            for place, name in enumerate(NAMES)
        ]
        round_of(of, rows)
        if len(of.groups) == 1:
            break
    assert [group.devices for group in of.groups] == [8]
    assert before[0] < of.density_of(NAMES[0]) < before[1]


def test_a_device_that_comes_late_shares_the_rate_of_the_largest_group_until_the_next_grouping() -> None:
    of = policy("spatial", **IN_TIME)
    names = [*NAMES, "device-a", "device-b"]  # six of the second kind
    for number in range(4):
        round_of(of, [
            delta(name, 1.0, energy=4.0, toward=2 if place % 2 or place > 7 else 1, noise=100 + 10 * number + place)
            for place, name in enumerate(names)
        ])  # fmt: skip
    assert of.group_of("a newcomer") == of.group_of(NAMES[1]) == 1


def test_a_newcomer_leaves_the_memory_of_a_group_alone_even_if_it_turns_their_numbers_round() -> None:
    """Groups are numbered by their first device, and this one comes before all."""

    def play(newcomers: list[str]) -> list[list[float]]:
        of, path = policy("spatio-temporal", **IN_TIME), []
        for number in range(24):
            names = NAMES + (newcomers if number >= 10 else [])
            window = number // 2
            losses = {0: 2.0 * 0.9**window, 1: 1.0 + 0.01 * max(0, window - 5)}
            kinds = [(name, 1 if name == "a" else place % 2, 1000 * number + place) for place, name in enumerate(names)]
            round_of(of, [delta(name, losses[k], energy=4.0, toward=1 + k, noise=7 + seed) for name, k, seed in kinds])
            path.append([of.density_of(name) for name in NAMES])
        assert of.group_of(NAMES[1]) == (0 if newcomers else 1)
        return path

    assert play(["a"]) == play([])


def test_a_device_that_sends_nothing_for_twenty_windows_counts_for_nothing() -> None:
    of = policy("spatio-temporal", **IN_TIME)
    for number in range(8):
        grouped_round(of, number, loss=SAME, energy={0: 4.0, 1: 4.0})
    assert [group.devices for group in of.groups] == [4, 4]
    for number in range(8, 8 + 2 * 20):
        kinds = [(name, 100 + 10 * number + place) for place, name in enumerate(NAMES) if place % 2]
        round_of(of, [delta(name, 1.0, toward=2, noise=noise) for name, noise in kinds])
    assert [group.devices for group in of.groups] == [4]
    assert of.group_of(NAMES[0]) == 0, "and begins as a newcomer"


# -- over a restart ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["temporal", "spatial", "spatio-temporal"])
def test_a_policy_that_is_dumped_and_loaded_goes_on_bit_for_bit(name: str) -> None:
    def play(of: DensityPolicy, begin: int, end: int) -> list[list[float]]:
        path = []
        for number in range(begin, end):
            grouped_round(of, number, loss={0: 0.9 ** (number // 2), 1: 1.0}, energy={0: 4.0, 1: 9.0})
            path.append([of.down, *(of.density_of(name) for name in NAMES)])
        return path

    through = policy(name, **IN_TIME)
    whole = play(through, 0, 14)
    for cut in (0, 1, 4, 7):
        first, second = policy(name, **IN_TIME), policy(name, **IN_TIME)
        begun = play(first, 0, cut)
        fields, arrays = first.dump()
        assert all(array.dtype == np.float32 for array in arrays.values())
        # A checkpoint may keep the keys in another order.
        second.load(json.loads(json.dumps(fields, sort_keys=True)), {key: a.copy() for key, a in arrays.items()})
        assert begun + play(second, cut, 14) == whole
    assert any(earlier != later for earlier, later in pairwise(whole)), "a path that stands shows nothing"


def test_what_is_no_dump_is_refused() -> None:
    of = policy("spatial")
    round_of(of, [delta(name, 1.0) for name in NAMES])
    fields, arrays = of.dump()
    for broken in (
        ({**fields, "sketched": {}}, arrays),
        (fields, {"sketch": arrays["sketch"][:3]}),
        ({**fields, "state": {**fields["state"], "rates": []}}, arrays),
        ({**fields, "state": {**fields["state"], "group": {"x": 7}}}, arrays),
        ({**fields, "state": {**fields["state"], "down": "0.1"}}, arrays),
    ):
        with pytest.raises(ValueError, match=r"."):
            policy("spatial").load(*broken)
