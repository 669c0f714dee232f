"""What each device is told to do: the run's plan, at the density that policy and link leave it.

The policy's densities come from the core, in the order of its decisions; what the links carry comes from reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from thinwire.common.values import Plan, Report
from thinwire.server.density import LinkAware, LinkRules
from thinwire.server.density.link import LinkSeen


class Plans:
    """The densities that devices have, and what they were told of them."""

    def __init__(self, plan: Plan, links: LinkAware | None = None) -> None:
        self.plan, self._links = plan, links
        self._policy: dict[str, float] = {}
        self._told: dict[str, float] = {}

    @classmethod
    def of(
        cls, plan: Plan, links: LinkRules | None, parameters: int, before: Mapping[str, float] | None = None
    ) -> Plans:
        """Bounded by links where there are rules for that, for a model of so many parameters.

        `before` has what links carried under the coordinator before this one, by device.
        """
        if links is None:
            return cls(plan)
        aware = LinkAware(links, parameters=parameters, local_steps=plan.local_steps)
        for device, density in (before or {}).items():
            aware.go_on(device, density)
        return cls(plan, aware)

    def rate(self, device: str, density: float | None) -> Plan | None:
        """The policy's density for a device, None for the plan's own; the plan to tell it, if that changes anything."""
        self._policy[device] = self.plan.density if density is None else density
        return self._news(device)

    def welcome(self, device: str) -> Plan:
        """The plan with which a device begins a stream."""
        self._told[device] = self._due(device)
        return replace(self.plan, density=self._told[device])

    def settle(self, device: str, kept: int, packed_bytes: int) -> Plan | None:
        """A delta was admitted, so its device's link is known better."""
        if self._links is not None:
            self._links.see_delta(device, kept, packed_bytes)
        return self._news(device)

    def report(self, device: str, report: Report, sent_bytes: int, received_bytes: int, now: float) -> Plan | None:
        """A device reported; the bytes are those of all its agents so far."""
        if self._links is not None:
            step_s = report.compute_s / report.steps if report.steps else 0.0
            seen = LinkSeen(
                goodput=report.goodput_up, step_s=step_s, sent_bytes=sent_bytes, received_bytes=received_bytes
            )
            self._links.see_report(device, seen, now)
        return self._news(device)

    def density(self, device: str) -> float:
        """What a device was told last; the plan's own for one that was not welcomed yet."""
        return self._told.get(device, self.plan.density)

    def _due(self, device: str) -> float:
        density = self._policy.get(device, self.plan.density)
        return density if self._links is None else self._links.bound(device, density)

    def _news(self, device: str) -> Plan | None:
        if device not in self._told or self._due(device) == self._told[device]:
            return None
        self._told[device] = self._due(device)
        return replace(self.plan, density=self._told[device])
