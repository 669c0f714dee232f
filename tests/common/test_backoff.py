"""A fleet that lost its coordinator at one moment must not come back at one moment."""

import random

import pytest

from thinwire.common.backoff import Backoff


class HighestDice(random.Random):
    """Always throws the upper end."""

    def random(self) -> float:
        return 1.0


def test_the_longest_delay_doubles_up_to_the_cap() -> None:
    backoff = Backoff(base_s=0.5, cap_s=3.0)
    assert [backoff.next(HighestDice()) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_success_starts_again_from_the_base() -> None:
    backoff = Backoff(base_s=0.5, cap_s=60.0)
    for _ in range(9):
        backoff.next(HighestDice())
    backoff.reset()
    assert backoff.next(HighestDice()) == 0.5


def test_the_jitter_is_full() -> None:
    dice = random.Random(1)
    delays = [Backoff(base_s=1.0, cap_s=1.0).next(dice) for _ in range(1000)]
    assert 0 <= min(delays) < 0.01
    assert 0.99 < max(delays) <= 1.0
    assert 0.45 < sum(delays) / len(delays) < 0.55


def test_a_million_attempts_do_not_overflow() -> None:
    backoff = Backoff()
    dice = random.Random(2)
    assert max(backoff.next(dice) for _ in range(10_000)) <= 60.0


@pytest.mark.parametrize(("base_s", "cap_s"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0)])
def test_a_base_beyond_the_cap_is_refused(base_s: float, cap_s: float) -> None:
    with pytest.raises(ValueError, match="back-off"):
        Backoff(base_s, cap_s)
