"""From groups of a scenario file to single devices: each one's pace and link, and when it is cut off or away.

Everything drawn at random comes from the seed and the device's number, so every method meets the same fleet.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from thinwire.common.link import parse_link
from thinwire.sim.scenario import Break, Device, Nap
from thinwire.sim.settings import Group

# The coordinator hears of a dead link by gRPC's keep-alive.
NOTICE_S = 20.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """Devices by number, the group of each, and what happens to them until the end."""

    devices: tuple[Device, ...]
    groups: tuple[str, ...]
    breaks: tuple[Break, ...]
    naps: tuple[Nap, ...]


def fleet_of(groups: Sequence[Group], seed: int, until: float) -> Fleet:
    """The fleet of this seed."""
    devices: list[Device] = []
    breaks: list[Break] = []
    naps: list[Nap] = []
    belongs = [group for group in groups for _ in range(group.devices)]
    for number, group in enumerate(belongs):
        dice = random.Random(f"{seed} fleet {number}")
        devices.append(_device(group, dice))
        cuts = _spells(group.outage_every, group.outage_for, until, dice)
        breaks.extend(Break(number, at, for_s, NOTICE_S) for at, for_s in cuts)
        rests = [*_spells(group.nap_every, group.nap_for, until, dice), *_days(group, until, dice)]
        naps.extend(Nap(number, at, for_s, NOTICE_S) for at, for_s in rests)
    return Fleet(tuple(devices), tuple(group.name for group in belongs), tuple(breaks), tuple(naps))


def _device(group: Group, dice: random.Random) -> Device:
    link = parse_link(group.link)
    return Device(
        link=link,
        link_down=replace(link, rate_bps=group.rate_down) if link and group.rate_down else None,
        loss=group.loss,
        step_s=group.step * dice.lognormvariate(0.0, group.step_spread),
        joins_at=dice.uniform(0.0, group.join_within),
    )


def _spells(every_s: float, for_s: float, until: float, dice: random.Random) -> Iterator[tuple[float, float]]:
    """(when, how long), one after another: both exponential, as of something that has no memory."""
    at = dice.expovariate(1.0 / every_s) if every_s else until
    while at < until:
        length_s = dice.expovariate(1.0 / for_s)
        yield at, length_s
        at += length_s + dice.expovariate(1.0 / every_s)


def _days(group: Group, until: float, dice: random.Random) -> Iterator[tuple[float, float]]:
    """(when, how long) a device is away that is here for `available` of each day, from its own morning on."""
    away_s = (1.0 - group.available) * group.day
    evening = dice.uniform(0.0, group.zones * group.day) + group.available * group.day - group.day
    while away_s and evening < until:
        begins, ends = max(0.0, evening), evening + away_s
        if ends > begins:
            yield begins, ends - begins
        evening += group.day
