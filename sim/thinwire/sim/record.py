"""Looks on while a world runs, and writes its history down: one row a version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median

import msgspec

from thinwire.common.codec.header import kept_in
from thinwire.common.history import Row
from thinwire.common.values import Verdict
from thinwire.server import effects, events
from thinwire.sim.world import Watch, World

Seen = Callable[[Row], None]


class Recorder(Watch):
    """Rows of a world whose devices belong to `groups`, by number; `seen` hears of each measured one."""

    def __init__(self, groups: Sequence[str], seen: Seen = lambda row: None) -> None:
        self.rows: list[Row] = []
        self._group = {f"device-{number}": group for number, group in enumerate(groups)}
        self._seen = seen
        self._clear()

    @property
    def rejected(self) -> int:
        """Deltas that were not taken, those since the last version too."""
        return self._rejected + sum(row.rejected for row in self.rows)

    def decided(self, world: World, event: events.Event, decided: list[effects.Effect]) -> None:
        """Take down what became of a delta, a version, or a measurement."""
        for effect in decided:
            if isinstance(effect, effects.Settled) and isinstance(event, events.DeltaSealed):
                self._settle(world, effect, event.payload)
            elif isinstance(effect, effects.Published):
                self.rows.append(self._row(world, effect))
                self._clear()
        if isinstance(event, events.Evaluated) and event.metrics:
            self._measured(event)

    def _settle(self, world: World, effect: effects.Settled, payload: bytes) -> None:
        if effect.repeated:
            return
        if effect.outcome.verdict is not Verdict.ACCEPTED:
            self._rejected += 1
            return
        self._deltas += 1
        self._staleness += effect.staleness
        share = kept_in(payload) / world.coordinator.core.model.layout.size
        self._shares[self._group[effect.device]].append(share)

    def _row(self, world: World, effect: effects.Published) -> Row:
        commit, lines = effect.commit, [device.line for device in world.devices]
        meters = [device.core.meter for device in world.devices]
        transfer_s = sum(meter.transfer_s for meter in meters)
        delays = [device.trainer.course.replica.delays.last for device in world.devices if device.trainer]
        model = world.coordinator.core.model
        return Row(
            time_s=world.agenda.now,
            version=commit.version,
            bytes_up=sum(line.up_bytes for line in lines),
            bytes_down=sum(line.down_bytes for line in lines),
            deltas=self._deltas,
            rejected=self._rejected,
            staleness=self._staleness / max(1, self._deltas),
            delay_steps=float(median(delays)) if delays else 0.0,
            density={group: sum(shares) / len(shares) for group, shares in sorted(self._shares.items())},
            density_down=commit.kept / model.layout.size,
            overlap=sum(meter.hidden_s for meter in meters) / transfer_s if transfer_s else 0.0,
            checksum=f"{model.checksum:016x}",
        )

    def _measured(self, event: events.Evaluated) -> None:
        # A version is measured at most a few after it was published; the newest rows are where it is found.
        for place in range(len(self.rows) - 1, -1, -1):
            if self.rows[place].version == event.version:
                self.rows[place] = msgspec.structs.replace(self.rows[place], metrics=event.metrics)
                self._seen(self.rows[place])
                return

    def _clear(self) -> None:
        self._deltas = self._rejected = self._staleness = 0
        self._shares: dict[str, list[float]] = defaultdict(list)
