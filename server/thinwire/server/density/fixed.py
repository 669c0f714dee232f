"""The same density for all, for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from thinwire.server.density.policy import Arrays, DeltaSeen, Fields, Group, Vector
from thinwire.server.density.rules import DensityRules


class Fixed:
    """What the settings say, for ever."""

    def __init__(self, rules: DensityRules) -> None:
        self._up, self._down = rules.up, rules.down
        self._devices: set[str] = set()

    @property
    def down(self) -> float:
        """Density of every commit."""
        return self._down

    def see_delta(self, seen: DeltaSeen) -> None:
        """Count the devices."""
        self._devices.add(seen.device)

    def see_commit(self) -> None:
        """Nothing changes."""

    def density_of(self, device: str) -> float:
        """The same for all."""
        return self._up

    def group_of(self, device: str) -> int:
        """The only one."""
        return 0

    @property
    def groups(self) -> list[Group]:
        """One, of all devices."""
        return [Group(self._up, len(self._devices))]

    def dump(self) -> tuple[Fields, Arrays]:
        """The names that were seen."""
        return {"devices": sorted(self._devices)}, {}

    def load(self, fields: Mapping[str, Any], arrays: Mapping[str, Vector]) -> None:
        """Take the names."""
        self._devices = set(msgspec.convert(fields["devices"], list[str]))
