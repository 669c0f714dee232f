"""The densities of the devices that are here, as they were told; after a commit, whom to tell another one."""

from __future__ import annotations

from thinwire.server.effects import Rerated
from thinwire.server.state import RunState


class Rates:
    """What the density policy of a run's state has said to whom; without a policy, nothing to anybody."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._told: dict[str, float] = {}

    def greet(self, device: str) -> float | None:
        """The density for a device that comes; None for the plan's own."""
        if self._state.density is None:
            return None
        self._told[device] = self._state.density.density_of(device)
        return self._told[device]

    def leave(self, device: str) -> None:
        """It hears nothing more; when it comes back it is told anyway."""
        self._told.pop(device, None)

    def changed(self) -> list[Rerated]:
        """Who has another density than it was told; from now on that is what it was told."""
        policy = self._state.density
        if policy is None:
            return []
        before, self._told = self._told, {device: policy.density_of(device) for device in self._told}
        return [Rerated(device, density) for device, density in self._told.items() if density != before[device]]
