"""A scenario with another number of devices: to try a large one small, or the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from thinwire.common.errors import SettingsError
from thinwire.common.settings import CoordinatorSettings
from thinwire.sim.checks import refuse_impossible
from thinwire.sim.settings import MOST_DEVICES, Group, Scenario


def scaled(scenario: Scenario, devices: int) -> Scenario:
    """The scenario with so many devices: its groups, and each method's buffer and min_devices, in proportion.

    Its name gets the number, so that its results are kept apart from those of the whole fleet. Raise SettingsError for
    a fleet that would never begin.
    """
    if not len(scenario.fleet) <= devices <= MOST_DEVICES:
        raise SettingsError(
            f"{devices} devices are asked for; each of the scenario's {len(scenario.fleet)} groups keeps one or more:"
            f" ask for {len(scenario.fleet)} to {MOST_DEVICES}"
        )
    name = f"{scenario.name}-{devices}"
    methods = {method: _method(known, devices, scenario.devices) for method, known in scenario.methods.items()}
    refuse_impossible(next(iter(methods.values())), methods, devices, name)
    return replace(scenario, name=name, fleet=_groups(scenario.fleet, devices), methods=methods)


def _groups(groups: Sequence[Group], devices: int) -> tuple[Group, ...]:
    """In proportion, each at least one; what rounding leaves over goes to whom it is furthest from its share."""
    total = sum(group.devices for group in groups)
    counts = [max(1, group.devices * devices // total) for group in groups]
    while (left := devices - sum(counts)) != 0:
        one = 1 if left > 0 else -1
        can_change = [place for place, count in enumerate(counts) if count + one >= 1]
        furthest = max(can_change, key=lambda place: one * (groups[place].devices * devices - counts[place] * total))
        counts[furthest] += one
    return tuple(
        msgspec.structs.replace(group, devices=count) for group, count in zip(groups, counts, strict=True)
    )


def _method(settings: CoordinatorSettings, devices: int, of: int) -> CoordinatorSettings:
    whole = settings.aggregation
    fewer = msgspec.structs.replace(
        whole, buffer=_up(whole.buffer * devices, of), min_devices=min(devices, _up(whole.min_devices * devices, of))
    )
    return msgspec.structs.replace(settings, aggregation=fewer)


def _up(share: int, of: int) -> int:
    """The quotient, rounded up; among whole numbers alone, for 100 * 0.07 is more than 7."""
    return -(-share // of)
