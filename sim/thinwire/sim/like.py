"""The simulation of a run that really was: the settings and measured figures that `thinwire demo --keep` leaves behind.

What the simulation then tells otherwise than the run is the simulator's error, and is told as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from thinwire.common.errors import SettingsError
from thinwire.common.history import History, read_history
from thinwire.common.settings import CoordinatorSettings, load
from thinwire.sim.outcome import outcome_of
from thinwire.sim.settings import Group, Scenario, Simulation

MOST_BYTES = 1 << 20
# A simulated run that takes so many times as long as the real one tells another story anyway.
PATIENCE = 10.0
COMPARED = ("target_time_s", "commits", "deltas", "accuracy", "bytes_up", "bytes_down", "staleness", "delay_steps")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What the summary of a demo says of its fleet; its other fields are not needed here."""

    devices: int
    link: str
    step_seconds: float
    step_spread: float
    training_seconds: float


def scenario_like(folder: Path) -> Scenario:
    """The scenario of a demo's folder, with one method, "simulated"."""
    settings = load(folder / "coordinator.toml", CoordinatorSettings)
    measured = _measured(folder / "summary.json")
    group = Group(
        name="watches", devices=measured.devices, link=measured.link, step=measured.step_seconds,
        step_spread=measured.step_spread,
    )  # fmt: skip
    simulation = Simulation(seeds=(settings.task.seed,), until=PATIENCE * measured.training_seconds)
    return Scenario(f"like {folder.name}", simulation, (group,), {"simulated": settings})


def real_run(folder: Path) -> History:
    """What that run was."""
    return read_history(folder / "history.jsonl")


def gap(real: History, simulated: History) -> Mapping[str, tuple[float, float]]:
    """The figures that both have, by name: of the real run and of the simulated one."""
    one, other = outcome_of(real), outcome_of(simulated)
    pairs = {name: (one[name], other[name]) for name in COMPARED}
    return {
        name: (float(a), float(b))
        for name, (a, b) in pairs.items()
        if isinstance(a, int | float) and isinstance(b, int | float)
    }


def _measured(path: Path) -> Measured:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MOST_BYTES), type=Measured)
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read: {error.strerror}; `thinwire demo --keep DIR` leaves such a folder"
        ) from error
    except msgspec.MsgspecError as error:
        raise SettingsError(f"{path}: is no summary of a demo: {error}") from error
