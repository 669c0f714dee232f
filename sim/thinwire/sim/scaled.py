"""A scenario with another number of devices: to try a large one small, or the other way round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from thinwire.common.errors import SettingsError
from thinwire.common.settings import CoordinatorSettings
from thinwire.sim.settings import MOST_DEVICES, Group, Scenario


def scaled(scenario: Scenario, devices: int) -> Scenario:
    """The scenario with so many devices: its groups, and each method's buffer and min_devices, in proportion.

    Its name gets the number, so that its results are kept apart from those of the whole fleet.
    """
    if not len(scenario.fleet) <= devices <= MOST_DEVICES:
        raise SettingsError(
            f"{devices} devices are asked for; each of the scenario's {len(scenario.fleet)} groups keeps one or more:"
            f" ask for {len(scenario.fleet)} to {MOST_DEVICES}"
        )
    share = devices / scenario.devices
    return replace(
        scenario, name=f"{scenario.name}-{devices}", fleet=_groups(scenario.fleet, devices),
        methods={name: _method(settings, share) for name, settings in scenario.methods.items()},
    )  # fmt: skip


def _groups(groups: Sequence[Group], devices: int) -> tuple[Group, ...]:
    """In proportion, each at least one; what rounding leaves over goes to whom it is furthest from its share."""
    share = devices / sum(group.devices for group in groups)
    counts = [max(1, math.floor(group.devices * share)) for group in groups]
    while (left := devices - sum(counts)) != 0:
        one = 1 if left > 0 else -1
        can_change = [place for place, count in enumerate(counts) if count + one >= 1]
        furthest = max(can_change, key=lambda place: one * (groups[place].devices * share - counts[place]))
        counts[furthest] += one
    return tuple(
        msgspec.structs.replace(group, devices=count) for group, count in zip(groups, counts, strict=True)
    )


def _method(settings: CoordinatorSettings, share: float) -> CoordinatorSettings:
    whole = settings.aggregation
    buffer, min_devices = math.ceil(whole.buffer * share), math.ceil(whole.min_devices * share)
    fewer = msgspec.structs.replace(whole, buffer=buffer, min_devices=min_devices)
    return msgspec.structs.replace(settings, aggregation=fewer)
