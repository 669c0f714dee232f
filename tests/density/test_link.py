"""The largest density that hides behind the local steps on the link that was measured, within the data budget."""

import pytest

from thinwire.server.density import LinkAware, LinkRules
from thinwire.server.density.link import CHANGE, DAY_S, LinkSeen

P = 100_000
DAY = 86_400.0


def aware(budget_bytes: int = 0) -> LinkAware:
    """Ten steps of 0.1 s between two deltas: one second for each."""
    return LinkAware(LinkRules(least=0.01, budget_bytes=budget_bytes), parameters=P, local_steps=10)


def seen(goodput: float = 0.0, sent: int = 0, received: int = 0) -> LinkSeen:
    return LinkSeen(goodput=goodput, step_s=0.1, sent_bytes=sent, received_bytes=received)


def test_without_figures_the_policy_alone_decides() -> None:
    links = aware()
    assert links.bound("a", 0.3) == 0.3
    links.see_delta("a", kept=1000, packed_bytes=1500)
    assert links.bound("a", 0.3) == 0.3
    links.see_report("b", seen(goodput=100.0), now=0.0)
    assert links.bound("b", 0.3) == 0.3, "what a value costs is not known yet"


@pytest.mark.parametrize(
    ("goodput", "density"),
    [
        pytest.param(1e6, 0.3, id="a fast link: the policy's density"),
        pytest.param(15_000.0, 0.08, id="0.8 s of 15 kB/s hold 8,000 values of 1.5 bytes"),
        pytest.param(100.0, 0.01, id="a link that hides nothing: the lower bound"),
    ],
)
def test_the_largest_density_whose_upload_hides(goodput: float, density: float) -> None:
    links = aware()
    links.see_delta("a", kept=1000, packed_bytes=1500)
    links.see_report("a", seen(goodput), now=5.0)
    assert links.bound("a", 0.3) == pytest.approx(density)
    assert links.bound("another", 0.3) == 0.3


def test_the_policy_stays_the_upper_bound_when_it_falls() -> None:
    links = aware()
    links.see_delta("a", kept=1000, packed_bytes=1500)
    links.see_report("a", seen(15_000.0), now=5.0)
    assert links.bound("a", 0.3) == pytest.approx(0.08)
    assert links.bound("a", 0.078) == 0.078


def test_a_device_is_not_bothered_with_small_changes() -> None:
    links = aware()
    links.see_delta("a", kept=1000, packed_bytes=1500)
    given = []
    for goodput in (15_000.0, 15_000.0 * (1 + 0.9 * CHANGE), 15_000.0 * (1 - 0.9 * CHANGE), 30_000.0):
        links.see_report("a", seen(goodput), now=5.0)
        given.append(links.bound("a", 0.3))
    assert given == pytest.approx([0.08, 0.08, 0.08, 0.16])


def test_deltas_too_small_to_measure_a_link_let_the_bound_grow_until_a_figure_comes() -> None:
    links = aware()
    links.see_delta("a", kept=1000, packed_bytes=1500)
    links.see_report("a", seen(15_000.0), now=5.0)
    for _ in range(10):
        links.see_report("a", seen(15_000.0), now=5.0)
    assert links.bound("a", 0.3) == pytest.approx(0.08), "where nothing was sent, nothing could be measured"
    for _ in range(10):
        links.see_delta("a", kept=1000, packed_bytes=1500)
        links.see_delta("a", kept=1000, packed_bytes=1500)
        links.see_report("a", seen(15_000.0), now=5.0)
    assert links.bound("a", 0.3) == pytest.approx(0.08 * 1.05**10)
    links.see_report("a", seen(15_001.0), now=5.0)
    assert links.bound("a", 0.3) == pytest.approx(0.08, rel=1e-3)


def test_a_budget_is_spread_over_the_day() -> None:
    """86.4 MB a day are 1,000 bytes a second, and a delta a second: 667 values of 1.5 bytes, below the lower bound."""
    links = aware(budget_bytes=86_400_000)
    links.see_delta("a", kept=1000, packed_bytes=1500)
    links.see_report("a", seen(), now=0.0)
    assert links.bound("a", 0.3) == pytest.approx(1000 / 1.5 / P)


def test_what_was_spent_and_what_commits_take_are_no_longer_there() -> None:
    links = aware(budget_bytes=86_400_000)
    links.see_delta("a", kept=1000, packed_bytes=1500)
    links.see_report("a", seen(sent=7_000, received=9_000_000), now=0.0)
    # Half of the day later: 21.6 MB were sent, 8.64 MB came in, at 200 a second. Left are 56.16 MB: 1,300 a second.
    links.see_report("a", seen(sent=21_607_000, received=17_640_000), now=DAY / 2)
    assert links.bound("a", 0.3) == pytest.approx(1100 / 1.5 / P)


def test_a_budget_that_is_spent_leaves_a_single_value_until_the_next_day() -> None:
    links = aware(budget_bytes=86_400_000)
    links.see_delta("a", kept=1000, packed_bytes=1500)
    links.see_report("a", seen(), now=0.0)
    links.see_report("a", seen(sent=90_000_000), now=DAY / 4)
    assert links.bound("a", 0.3) == 1 / P
    links.see_report("a", seen(sent=90_000_000), now=DAY_S)
    assert links.bound("a", 0.3) == pytest.approx(1000 / 1.5 / P)


def test_after_a_restart_a_device_goes_on_with_what_its_link_carried_until_that_is_measured() -> None:
    links = aware()
    links.go_on("a", 0.08)
    assert links.bound("a", 1.0) == 0.08
    assert links.bound("a", 0.05) == 0.05, "the policy stays the upper bound"
    links.see_delta("a", kept=8000, packed_bytes=12_000)
    assert links.bound("a", 1.0) == 0.08, "what was on its way says nothing of the link"
    links.see_report("a", seen(30_000.0), now=5.0)
    assert links.bound("a", 1.0) == pytest.approx(0.16)


def test_after_a_restart_a_link_that_nobody_can_measure_is_tried_with_more_and_more() -> None:
    links = aware()
    links.go_on("a", 0.02)
    for _ in range(10):
        links.see_delta("a", kept=2000, packed_bytes=3000)
        links.see_report("a", seen(), now=5.0)
    assert links.bound("a", 1.0) == pytest.approx(0.02 * 1.05**10)
