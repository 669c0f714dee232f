"""How often one device may have something written of itself: a burst, then one at a time, and nobody else pays."""

import random

from journal_story import Run

from thinwire.common.values import RefusalReason
from thinwire.server.allowance import Allowance
from thinwire.server.effects import Effect, Recognised, Refused
from thinwire.server.events import Greeted, Subscribed
from thinwire.sim.disk import SimFolder


def test_after_a_burst_there_is_one_each_so_many_seconds() -> None:
    allowance = Allowance(burst=3, every_s=10.0)
    assert [allowance.take("restless", 100.0) for _ in range(5)] == [True, True, True, False, False]
    assert allowance.wait_s("restless", 100.0) == 10.0
    assert not allowance.take("restless", 109.9)
    assert allowance.take("restless", 110.0)
    assert not allowance.take("restless", 110.0)
    assert allowance.take("calm", 110.0)
    # When all of it is back, it is as if nothing had been.
    assert [allowance.take("restless", 1000.0) for _ in range(4)] == [True, True, True, False]


def test_who_has_all_of_it_is_not_remembered() -> None:
    allowance = Allowance(burst=3, every_s=10.0)
    for number in range(1000):
        allowance.take(f"device-{number}", float(number))
    assert len(allowance) < 100


def answers(run: Run, event: Greeted | Subscribed, times: int) -> list[Effect]:
    return [run.happens(event)[0] for _ in range(times)]


def test_a_device_that_begins_anew_without_end_is_held_up_and_writes_no_more() -> None:
    run = Run(SimFolder("coordinator", random.Random(0)))
    first = answers(run, Greeted("restless", 0), 32)
    assert all(isinstance(effect, Recognised) for effect in first)
    last = run.journal.last
    for effect in answers(run, Greeted("restless", 0), 50):
        assert isinstance(effect, Refused)
        assert effect.reason is RefusalReason.RATE_LIMITED
        assert "begins anew too often; it may again in 20 s" in effect.message
        assert effect.retry_after_s == 20.0
    assert run.journal.last == last
    # What it is known as is still good, and so is anybody else.
    assert isinstance(run.happens(Greeted("restless", 32))[0], Recognised)
    assert isinstance(run.happens(Greeted("calm", 0))[0], Recognised)


def test_a_device_that_says_other_numbers_of_examples_without_end_is_held_up_too() -> None:
    run = Run(SimFolder("coordinator", random.Random(0)))
    run.join("restless")
    for examples in range(31):
        assert not any(isinstance(effect, Refused) for effect in run.happens(Subscribed("restless", 100 + examples)))
    last, weight = run.journal.last, run.core.roster.members["restless"].examples
    [refused, *_] = run.happens(Subscribed("restless", 999))
    assert isinstance(refused, Refused)
    assert refused.reason is RefusalReason.RATE_LIMITED
    assert (run.journal.last, run.core.roster.members["restless"].examples) == (last, weight)
    assert not any(isinstance(effect, Refused) for effect in run.happens(Subscribed("restless", weight)))
