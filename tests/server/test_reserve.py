"""How much of a disk stays free, and when a disk at the edge has room again."""

import pytest

from thinwire.common.disk import Space
from thinwire.server.reserve import Reserve


@pytest.mark.parametrize(
    ("share", "most", "free", "low"),
    [
        (0.1, 1000, 10, False),
        (0.1, 1000, 9, True),
        (0.1, 5, 6, False),  # a tenth of a large disk would be far more than is ever needed
        (0.1, 5, 4, True),
        (0.0, 1000, 0, False),
    ],
)
def test_below_the_share_or_what_is_ever_needed_it_is_low(share: float, most: int, free: int, low: bool) -> None:
    reserve = Reserve(share, most)
    assert reserve.look(Space(free, 100)) == low
    assert reserve.low == low


def test_once_low_it_takes_a_little_more_than_the_share_to_go_on() -> None:
    reserve = Reserve(0.1, 1000)
    assert [(reserve.look(Space(free, 100)), reserve.low) for free in (9, 10, 11, 10, 9)] == [
        (True, True), (False, True), (True, False), (False, False), (True, True),
    ]  # fmt: skip


def test_it_holds_what_the_next_checkpoint_and_commit_need_however_small_the_share() -> None:
    reserve = Reserve(0.1, 5)
    reserve.needed_bytes = 60
    assert reserve.look(Space(59, 100))
    off = Reserve(0.0, 5)
    off.needed_bytes = 60
    assert not off.look(Space(59, 100)), "a share of 0 is no reserve"
