"""How a simulated run ended: by itself, because its time was over, or because its devices gave up."""

from __future__ import annotations

from collections import Counter

from thinwire.common.history import End
from thinwire.sim.record import Recorder
from thinwire.sim.world import World


def end_of(world: World, recorder: Recorder, until: float) -> End:
    """The end of a run that published a version."""
    final = world.coordinator.bulletin.final
    if final is not None:
        last = recorder.rows[-1]
        return End(
            reason=world.coordinator.core.state.reason, time_s=last.time_s, devices_equal=_equal(world),
            bytes_up=last.bytes_up, bytes_down=last.bytes_down, rejected=recorder.rejected,
        )  # fmt: skip
    lines = [device.line for device in world.devices]
    return End(
        reason=_cut_off(world, until),
        time_s=world.agenda.now if _all_gave_up(world) else until,
        devices_equal=None,
        bytes_up=sum(line.up_bytes for line in lines),
        bytes_down=sum(line.down_bytes for line in lines),
        rejected=recorder.rejected,
    )


def nothing(world: World, until: float) -> str:
    """Why a run published no version at all, and what may change that."""
    core, devices = world.coordinator.core, len(world.devices)
    if quitters := _quitters(world):
        return f"no version in {until:g} s: {quitters}"
    return (
        f"no version in {until:g} s: {core.status()}; of {devices} devices {len(core.ledger)} have reached the"
        f" coordinator and {core.roster.live} have the model; a longer simulation.until, faster links or a smaller"
        " aggregation.min_devices may change that"
    )


def _cut_off(world: World, until: float) -> str:
    quitters = _quitters(world)
    if _all_gave_up(world):
        return quitters
    return f"{until:g} s were over; {quitters}" if quitters else f"{until:g} s were over"


def _quitters(world: World) -> str:
    messages = Counter(device.quit.message for device in world.devices if device.quit is not None)
    if not messages:
        return ""
    others = f" (and {len(messages) - 1} other reasons)" if len(messages) > 1 else ""
    (most, _), *_ = messages.most_common(1)
    return f"{messages.total()} of {len(world.devices)} devices gave up: {most}{others}"


def _all_gave_up(world: World) -> bool:
    return all(device.quit is not None for device in world.devices)


def _equal(world: World) -> int:
    model = world.coordinator.core.model
    return sum(
        (device.core.figures.version, device.core.figures.checksum) == (model.version, model.checksum)
        for device in world.devices
    )
