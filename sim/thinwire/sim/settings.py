"""A scenario file: a fleet, what it trains, and the methods to compare on it.

    [simulation]        seeds, and the virtual time at which a run ends
    [[fleet]]           one or more groups of devices: how many, their links, their pace, when they are away
    [task] [training] [density] [aggregation] [stop] …      the coordinator's own settings, one schema for both
    [methods.NAME]      what a method has otherwise; without any there is one method, called "all"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from thinwire.common.errors import SettingsError
from thinwire.common.settings import CoordinatorSettings, to_toml
from thinwire.common.settings.algorithms import yielding
from thinwire.common.settings.kinds import (
    Count,
    Duration,
    DurationOrNone,
    Link,
    NotNegative,
    RateOrNone,
    Section,
    Seed,
    Share,
    ShareAboveZero,
)
from thinwire.common.settings.names import shown
from thinwire.common.settings.read import parse, read_table, read_text
from thinwire.sim.checks import refuse_impossible, refuse_names, refuse_overrides, refuse_unknown
from thinwire.sim.loss import MOST_LOSS

# A simulation has no sockets, no certificates and no log of its own.
NOT_SIMULATED = ("listen", "tls", "logs")
# A method's name is a folder below that of the results.
METHOD_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
MOST_DEVICES = 1_000_000


class Simulation(Section, frozen=True, kw_only=True):
    """What is repeated, and until when."""

    # A run for each method and seed; a seed decides the first model, the order of batches, links and misfortunes.
    seeds: tuple[Seed, ...] = (1,)
    # Virtual time at which a run ends that has not come to its end before.
    until: Duration = 3600.0
    # How long a device's trainer takes to start.
    trainer_start: DurationOrNone = 0.0

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise SettingsError(f"simulation.seeds is {list(self.seeds)}; it must name one or more seeds, each once")


class Group(Section, frozen=True, kw_only=True):
    """Devices of one kind. Whatever is drawn at random comes from the seed, the same for every method."""

    # What results call the group.
    name: str = "devices"
    # How many devices it has.
    devices: Count
    # Round trip, rate and jitter of each device's link; "none" is a link without delay.
    link: Link = "200ms,2mbit"
    # Rate down, coordinator to device; 0 is the link's rate.
    rate_down: RateOrNone = 0.0
    # Share of packets that are lost, at most 0.1: TCP sends them again, which costs time and rate.
    loss: Share = 0.0
    # Time of one step of the optimiser.
    step: Duration = 0.1
    # How much devices differ in it: deviation of its logarithm.
    step_spread: NotNegative = 0.0
    # Mean time between two losses of the link, on each device; 0 is never. The device trains on.
    outage_every: DurationOrNone = 0.0
    # Mean length of such an outage.
    outage_for: Duration = 30.0
    # Mean time from one nap to the next, on each device; 0 is never. A device that naps neither trains nor talks.
    nap_every: DurationOrNone = 0.0
    # Mean length of a nap.
    nap_for: Duration = 300.0
    # Share of each day in which a device is here; it naps the rest.
    available: ShareAboveZero = 1.0
    # Length of a day.
    day: Duration = 86400.0
    # How far the devices' days are apart: 0 all at once, 1 spread over a whole day.
    zones: Share = 0.0
    # Devices join one after another within this time.
    join_within: DurationOrNone = 0.0

    def __post_init__(self) -> None:
        problems = tuple(self._problems())
        if problems:
            raise SettingsError(*problems)

    def _problems(self) -> Iterator[str]:
        if self.loss > MOST_LOSS:
            yield (
                f"loss is {self.loss} in the group {shown(self.name)}; it must be at most {MOST_LOSS}: above that a"
                " connection mostly waits for time-outs, which are not modelled (use outage_every)"
            )
        if self.link == "none" and (self.rate_down or self.loss):
            key = "rate_down" if self.rate_down else "loss"
            yield (
                f'{key} is set in the group {shown(self.name)}, whose link is "none", which takes no time and loses'
                f' nothing: give it a link such as "200ms,2mbit", or leave {key} out'
            )


class _Fleet(Section, frozen=True, kw_only=True):
    simulation: Simulation = Simulation()
    fleet: tuple[Group, ...] = ()

    def __post_init__(self) -> None:
        names = [group.name for group in self.fleet]
        if not names:
            raise SettingsError("fleet is missing; write [[fleet]] and devices = 10 below it")
        if len(set(names)) < len(names):
            raise SettingsError(f"fleet has the groups {', '.join(names)}; each needs a name of its own")
        if sum(group.devices for group in self.fleet) > MOST_DEVICES:
            raise SettingsError(f"fleet has more than {MOST_DEVICES} devices")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario file that was read; `methods` are whole settings, as a coordinator would have them."""

    name: str
    simulation: Simulation
    fleet: tuple[Group, ...]
    methods: Mapping[str, CoordinatorSettings]

    @property
    def devices(self) -> int:
        """How many there are over all groups."""
        return sum(group.devices for group in self.fleet)


def load_scenario(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario file, then set each "section.key=value"; raise SettingsError with everything that is wrong."""
    return read_scenario(read_text(path), overrides, str(path), path.stem)


def read_scenario(text: str, overrides: Sequence[str] = (), origin: str = "scenario", name: str = "") -> Scenario:
    """Read a scenario's TOML; `origin` is what problems call it."""
    refuse_overrides(parse(text, (), origin), overrides, origin)
    table = parse(text, overrides, origin)
    own, shared = ("simulation", "fleet", "methods"), shared_sections()
    refuse_unknown(table, (*own, *shared), origin)
    methods = table.pop("methods", None) or {"all": {}}
    if not isinstance(methods, dict) or not all(isinstance(changes, dict) for changes in methods.values()):
        raise SettingsError(f"{origin}: methods is {shown(methods)}; it must be sections [methods.NAME]")
    refuse_names(methods, METHOD_NAME, origin)
    fleet = read_table({key: table[key] for key in own if key in table}, _Fleet, origin)
    base = {key: table[key] for key in shared if key in table}
    all_share = read_table(base, CoordinatorSettings, origin)  # so that its problems are told once, not once a method
    read = {method: _method(base, changes, method, shared, origin) for method, changes in methods.items()}
    scenario = Scenario(name or origin, fleet.simulation, fleet.fleet, read)
    refuse_impossible(all_share, read, scenario.devices, origin)
    return scenario


def shared_sections() -> tuple[str, ...]:
    """The coordinator's sections that a simulation obeys."""
    names = (field.name for field in msgspec.structs.fields(CoordinatorSettings))
    return tuple(name for name in names if name not in NOT_SIMULATED)


def method_toml(settings: CoordinatorSettings) -> str:
    """A method's settings as TOML, without the sections that a simulation has no use for."""
    blocks = to_toml(settings).split("\n\n")
    return "\n\n".join(block for block in blocks if not block.startswith(tuple(f"[{no}]" for no in NOT_SIMULATED)))


def _method(
    base: Mapping[str, Any], changes: Mapping[str, Any], method: str, shared: Sequence[str], origin: str
) -> CoordinatorSettings:
    refuse_unknown(changes, shared, origin, f"methods.{method}.")
    # An algorithm that the method names stands above what all methods share, and below what the method itself sets.
    return read_table(_merged(yielding(base, changes), changes), CoordinatorSettings, origin, f"methods.{method}.")


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables into each other, values over each other; a task's parameters are its own, so they are replaced whole."""
    merged = dict(base)
    for key, change in changes.items():
        deeper = key != "params" and isinstance(change, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], change) if deeper else change
    return merged
