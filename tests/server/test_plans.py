"""A device hears of a density when it begins a stream, and whenever that changes; never otherwise."""

from thinwire.common.values import Plan, Report
from thinwire.server.density import LinkAware, LinkRules
from thinwire.server.plans import Plans

PLAN = Plan(density=0.05, local_steps=10)
SLOW = Report(goodput_up=1_500.0, compute_s=10.0, steps=100)  # a second for ten steps, 1,500 bytes in it


def test_with_nothing_decided_every_device_has_the_plan_as_it_is() -> None:
    plans = Plans(PLAN)
    assert plans.welcome("a") == PLAN
    assert plans.settle("a", 1000, 1500) is None
    assert plans.report("a", SLOW, 0, 0, 1.0) is None
    assert plans.density("a") == plans.density("a stranger") == 0.05


def test_a_new_density_is_told_once() -> None:
    plans = Plans(PLAN)
    plans.rate("a", 0.1)
    assert plans.welcome("a").density == 0.1
    assert plans.rate("a", 0.1) is None
    assert plans.rate("a", 0.15) == Plan(density=0.15, local_steps=10)
    assert plans.rate("a", 0.15) is None
    assert plans.welcome("a").density == 0.15, "but on each stream"


def test_a_device_that_has_not_been_welcomed_is_told_nothing() -> None:
    plans = Plans(PLAN)
    assert plans.rate("a", 0.1) is None
    assert plans.rate("a", 0.2) is None
    assert plans.welcome("a").density == 0.2, "before it hears of it here"


def test_the_link_lowers_what_the_policy_gives() -> None:
    plans = Plans(PLAN, LinkAware(LinkRules(least=0.01), parameters=100_000, local_steps=10))
    plans.welcome("a")
    assert plans.report("a", SLOW, 0, 0, 1.0) is None, "what a value costs is not known"
    told = plans.settle("a", 1000, 500)
    assert told is not None
    # 0.8 of 1,500 bytes, at half a byte a value, of 100,000.
    assert told.density == plans.density("a") == 0.8 * 1_500 / 0.5 / 100_000
    assert plans.welcome("a").density == told.density, "a new stream is the same link"
