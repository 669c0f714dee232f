"""The simulation of a run that really was: the settings and measured figures that `thinwire demo --keep` leaves behind.

What the simulation then tells otherwise than the run is the simulator's error, and is told as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import msgspec

from thinwire.common.errors import SettingsError
from thinwire.common.history import History, read_history
from thinwire.common.settings import CoordinatorSettings, load
from thinwire.sim.outcome import outcome_of
from thinwire.sim.settings import Group, Scenario, Simulation

MOST_BYTES = 1 << 20
# A simulated run that takes so many times as long as the real one tells another story anyway.
PATIENCE = 10.0
# By field of an outcome: what people call it, and how it is written.
COMPARED = {
    "target_time_s": ("time to the target, s", ",.1f"),
    "commits": ("commits", ",.0f"),
    "deltas": ("deltas", ",.0f"),
    "accuracy": ("accuracy at the end", ".3f"),
    "bytes_up": ("bytes up", ",.0f"),
    "bytes_down": ("bytes down", ",.0f"),
    "staleness": ("staleness, versions", ".1f"),
    "delay_steps": ("delay, local steps", ".0f"),
}
WHENCE = "`thinwire demo --keep DIR` leaves such a folder"
SCHEMA = "thinwire.gap/v1"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What the summary of a demo says of its fleet; its other fields are not needed here."""

    devices: int
    link: str
    step_seconds: float
    step_spread: float
    training_seconds: float


def scenario_like(folder: Path) -> Scenario:
    """The scenario of a demo's folder, with one method, "simulated"."""
    for name in ("coordinator.toml", "history.jsonl"):
        if not (folder / name).is_file():
            raise SettingsError(f"{folder}: has no {name}, so it is no folder of a real run; {WHENCE}")
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


def gap(real: History, simulated: Sequence[History]) -> Mapping[str, tuple[float, float]]:
    """The figures that all of them have, by field of an outcome: of the real run, and the simulated ones' mean."""
    one, others = outcome_of(real), [outcome_of(history) for history in simulated]
    found = {}
    for name in COMPARED:
        figures = [float(f) for f in (record[name] for record in (one, *others)) if isinstance(f, int | float)]
        if len(figures) == 1 + len(others):
            found[name] = (figures[0], mean(figures[1:]))
    return found


def _measured(path: Path) -> Measured:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MOST_BYTES), type=Measured)
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read: {error.strerror}; {WHENCE}"
        ) from error
    except msgspec.MsgspecError as error:
        raise SettingsError(f"{path}: is no summary of a demo: {error}") from error
