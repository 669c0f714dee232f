"""The update rate in time, in space, and in both.

    fixed             one group of all devices, whose rate stays; for the sake of the downlink alone
    temporal          one group of all devices, whose rate follows the loss: `rate`
    spatial           groups by what devices learn: `sketch`, `grouping`; they share the fleet's budget: `allocate`
    spatio-temporal   such groups, each with a rate over time of its own, once the ladder is done

The downlink is one log of commits for all (docs/density.md says why): its density is the mean of the devices' densities
times the ratio of the two settings. A device that sends less than its rate, because its link carries no more, counts
with what it sends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from thinwire.server.density.allocate import allocate, need_of
from thinwire.server.density.grouping import groups_of
from thinwire.server.density.history import Account, doubt_of, full, weighted_median
from thinwire.server.density.policy import Arrays, DeltaSeen, Fields, Group, Vector
from thinwire.server.density.rate import Rate
from thinwire.server.density.rules import DensityRules
from thinwire.server.density.sketch import BUCKETS, Sketches

REGROUP = 2  # windows from one grouping to the next
NEARLY = 0.9  # of its rate, and a device has sent what it was to send: smaller changes it is not told
FORGOTTEN = 20  # windows after which a device that sends nothing counts for nothing


class _State(msgspec.Struct, kw_only=True):
    """Everything but the sketches; plain data, so that a checkpoint is checked when it is read."""

    rates: list[Rate]
    accounts: dict[str, Account] = {}
    group: dict[str, int] = {}
    largest: int = 0  # group; of devices that were in no grouping yet
    windows: int = 0
    down: float


class Dynamic:
    """`temporal`, `spatial`, `spatio-temporal`, or `fixed`, as the rules say."""

    def __init__(self, rules: DensityRules) -> None:
        self._rules = rules
        first = Rate.at_start(rules) if rules.in_time else Rate(density=rules.up)
        self._state = _State(rates=[first], down=self._down(first.density))
        self._sketches: dict[str, Sketches] = {}

    @property
    def down(self) -> float:
        """Density of the next commit."""
        return self._state.down

    def density_of(self, device: str) -> float:
        """The rate of its group."""
        return self._state.rates[self.group_of(device)].density

    def group_of(self, device: str) -> int:
        """Its group; that of most devices until it was seen in a grouping."""
        return self._state.group.get(device, self._state.largest)

    @property
    def groups(self) -> list[Group]:
        """Every group, with its devices."""
        # A copy: status is read in other threads than the one in which devices come.
        members = [self.group_of(device) for device in list(self._state.accounts)]
        return [Group(rate.density, members.count(group)) for group, rate in enumerate(self._state.rates)]

    @property
    def held_back(self) -> dict[str, float]:
        """What the newest deltas carried, of the devices that send less than their rate."""
        accounts = self._state.accounts.items() if self._rules.by_link else ()
        return {device: account.sent for device, account in accounts if self._falls_short(device)}

    def see_delta(self, seen: DeltaSeen) -> None:
        """Keep its device's loss, energy and direction."""
        account = self._state.accounts.setdefault(seen.device, Account(share=seen.share))
        account.add(seen.share, seen.loss, seen.density)
        # Of a few values, rounding must not look like a thin link.
        account.most = seen.density * (1 + 0.5 / max(1, len(seen.index_K)))
        if seen.energy is not None:
            account.weigh(seen.energy, float(np.square(seen.value_K, dtype=np.float64).sum()))
        if self._rules.in_space:
            self._sketches.setdefault(seen.device, Sketches()).add(seen.index_K, seen.value_K)

    def see_commit(self) -> None:
        """At the end of a window: new rates, and now and then new groups."""
        accounts = self._state.accounts
        if not full(accounts.values(), self._rules.window):
            return
        # In an order that does not depend on who came first: sums round by it.
        took_part = sorted(device for device, account in accounts.items() if account.deltas)
        # Held against the rate at which it was sent, not against the next one.
        bounded = [device for device in took_part if self._rules.by_link and self._falls_short(device)]
        sent = {device: accounts[device].sent for device in bounded}
        gains = {device: account.close() for device, account in accounts.items()}
        self._state.windows += 1
        self._forget([device for device, account in accounts.items() if account.away >= FORGOTTEN])
        if self._rules.in_time:
            self._adjust(gains)
        if self._rules.in_space:
            self._regroup()
            if not self._rules.in_time:
                self._share_out()
        self._state.down = self._down(self._mean(took_part, sent))

    def _falls_short(self, device: str) -> bool:
        return self._state.accounts[device].most < NEARLY * self.density_of(device)

    def _forget(self, devices: list[str]) -> None:
        for device in devices:
            del self._state.accounts[device]
            self._sketches.pop(device, None)
            self._state.group.pop(device, None)

    # -- time --------------------------------------------------------------------------------------------------

    def _adjust(self, gains: Mapping[str, float | None]) -> None:
        for group, rate in enumerate(self._state.rates):
            members = [(device, a) for device, a in self._state.accounts.items() if self.group_of(device) == group]
            told = [(gain, a.share) for device, a in members if (gain := gains[device]) is not None]
            unsent = weighted_median((a.unsent / a.energy, a.share) for _, a in members if a.energy > 0)
            gain = weighted_median(told)
            if gain is not None:
                rate.close_window(gain, 1.0 if unsent is None else unsent, self._rules, doubt_of(told, gain))

    # -- space -------------------------------------------------------------------------------------------------

    def _regroup(self) -> None:
        on_ladder = any(rate.rung >= 0 for rate in self._state.rates)
        names = sorted(name for name, sketches in self._sketches.items() if sketches.deltas >= 2)
        if self._state.windows % REGROUP or on_ladder or not names:
            return
        half_2NS = np.stack([self._sketches[name].half_2S for name in names], axis=1)
        labels = groups_of(half_2NS, self._rules.groups).tolist()
        before = self._state.group or dict.fromkeys(names, 0)
        members = [[name for name, label in zip(names, labels, strict=True) if label == g] for g in sorted(set(labels))]
        # The rates first: status asks for groups from another thread, and each must have a rate.
        rates = [self._inherited(before, of_group, names) for of_group in members]
        self._state.rates = rates + self._state.rates[len(rates) :]
        self._state.group = dict(zip(names, labels, strict=True))
        self._state.largest = max(range(len(members)), key=lambda g: len(members[g]))
        self._state.rates = rates

    def _inherited(self, before: Mapping[str, int], members: list[str], names: list[str]) -> Rate:
        """The rate of the group that they were, if all of it is still together; else the mean of their rates."""
        were = {before[name] for name in members if name in before}
        others = {before[name] for name in names if name in before and name not in members}
        if len(were) == 1 and not were & others:
            return self._state.rates[were.pop()]
        return Rate(density=self._mean(members))

    def _share_out(self) -> None:
        members: list[list[Account]] = [[] for _ in self._state.rates]
        for device, account in self._state.accounts.items():
            members[self.group_of(device)].append(account)
        need_G = [
            need_of(weighted_median((a.unsent, a.share) for a in of_group) or 0.0, rate.density)
            for of_group, rate in zip(members, self._state.rates, strict=True)
        ]
        weight_G = [float(len(of_group)) for of_group in members]
        rules = self._rules
        for rate, density in zip(
            self._state.rates, allocate(need_G, weight_G, rules.up, rules.least, rules.most), strict=True
        ):
            rate.density = density

    # -- both --------------------------------------------------------------------------------------------------

    def _mean(self, devices: list[str], most: Mapping[str, float] | None = None) -> float:
        """Of the devices' rates, or of `most`, where a device's is less."""
        rate_of = {device: min(self.density_of(device), (most or {}).get(device, 1.0)) for device in devices}
        weighed = [(rate_of[device], self._state.accounts[device].share) for device in devices]
        total = math.fsum(share for _, share in weighed)
        # No device is without a share; the bounds are for what rounding does to a mean of equals.
        densities = [density for density, _ in weighed]
        mean = math.fsum(density * share for density, share in weighed) / total
        return min(max(densities), max(min(densities), mean))

    def _down(self, up: float) -> float:
        return min(1.0, self._rules.down / self._rules.up * up)

    # -- over a restart ----------------------------------------------------------------------------------------

    def dump(self) -> tuple[Fields, Arrays]:
        """State as JSON; the sketches (N, 2, S), in the order of the names in `sketched`, as one row."""
        sketched = {name: sketches.deltas for name, sketches in sorted(self._sketches.items())}
        half_N2S = np.zeros((len(sketched), 2, BUCKETS), np.float32)
        for row_2S, name in zip(half_N2S, sketched, strict=True):
            row_2S[:] = self._sketches[name].half_2S
        return {"state": msgspec.to_builtins(self._state), "sketched": sketched}, {"sketch": half_N2S.ravel()}

    def load(self, fields: Mapping[str, Any], arrays: Mapping[str, Vector]) -> None:
        """Go on from there; raise ValueError when it is no such thing."""
        sketched = msgspec.convert(fields["sketched"], dict[str, int])
        state = msgspec.convert(fields["state"], _State)
        half_N2S = arrays["sketch"].reshape(len(sketched), 2, BUCKETS)
        if not state.rates:
            raise ValueError("there is no rate")
        if any(not 0 <= group < len(state.rates) for group in (*state.group.values(), state.largest)):
            raise ValueError(f"a group beyond the {len(state.rates)} there are")
        self._state = state
        self._sketches = {name: Sketches() for name in sketched}
        for row_2S, (name, deltas) in zip(half_N2S, sorted(sketched.items()), strict=True):
            self._sketches[name].deltas = deltas
            self._sketches[name].half_2S[:] = row_2S
