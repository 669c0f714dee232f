"""One cell of a comparison: one method, one seed, one history. The same cell has the same rows, bit for bit."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from thinwire.common.errors import TaskError
from thinwire.common.history import DECIDING, Header, History, Row, versions
from thinwire.common.settings import CoordinatorSettings
from thinwire.server.training import link_rules_of, plan_of, rules_of
from thinwire.sim import scenario as world_of
from thinwire.sim.ending import end_of, nothing
from thinwire.sim.fleet import fleet_of
from thinwire.sim.lessons import lesson_of
from thinwire.sim.own_code import code_of, loaded_code_of
from thinwire.sim.record import Recorder
from thinwire.sim.settings import Scenario, method_toml
from thinwire.sim.world import World

Seen = Callable[[Row], None]


# Raised whenever the same settings give other rows than before: what was stored until then is run again.
ROWS = "2"


@dataclass(frozen=True, slots=True)
class Cell:
    """One method and one seed of a scenario; `under` is a folder of its own where several scenarios share one."""

    scenario: Scenario
    method: str
    seed: int
    under: str = ""

    @property
    def settings(self) -> CoordinatorSettings:
        """The method's settings."""
        return self.scenario.methods[self.method]

    @property
    def file(self) -> str:
        """The name of its history, below the folder of the results."""
        return f"{self.under}{'/' if self.under else ''}{self.method}/seed-{self.seed}.jsonl"

    def header(self, parameters: int = 0, code: str | None = None) -> Header:
        """What its history says of itself; the fingerprint is of all that decides its rows.

        `code` is the checksum of the code that was run for it, of what would be run now where it is not given.
        """
        toml, fleet, used = method_toml(self.settings), self._fleet(), versions()
        code = code_of(self.settings) if code is None else code
        decisive = [ROWS, toml, fleet, str(self.seed), *(used.get(name, "") for name in DECIDING), code]
        return Header(
            scenario=self.scenario.name,
            method=self.method,
            seed=self.seed,
            task=self.settings.task.id,
            parameters=parameters,
            devices=self.scenario.devices,
            link=", ".join(dict.fromkeys(group.link for group in self.scenario.fleet)),
            target_accuracy=self.settings.stop.target_accuracy,
            settings=toml,
            fleet=fleet,
            fingerprint=hashlib.sha256("\0".join(decisive).encode()).hexdigest()[:16],
            versions=used,
            code=code,
            methods=tuple(self.scenario.methods),
        )

    def _fleet(self) -> str:
        simulation = self.scenario.simulation
        parts: list[object] = [{"until": simulation.until, "trainer_start": simulation.trainer_start}]
        parts += [msgspec.structs.asdict(group) for group in self.scenario.fleet]
        return msgspec.json.encode(parts).decode()


def run_cell(cell: Cell, seen: Seen = lambda row: None) -> History:
    """Run it from the first dial to its end; `seen` hears of each measured row."""
    began = time.perf_counter()
    code = loaded_code_of(cell.settings)
    world, recorder = build(cell, seen)
    until = cell.scenario.simulation.until
    world.run(until)
    if not recorder.rows:
        raise TaskError(nothing(world, until))
    end = msgspec.structs.replace(end_of(world, recorder, until), wall_s=time.perf_counter() - began)
    return History(cell.header(world.coordinator.core.model.layout.size, code), tuple(recorder.rows), end)


def build(cell: Cell, seen: Seen = lambda row: None) -> tuple[World, Recorder]:
    """The world of a cell, before its first moment, and who writes it down."""
    scenario, settings = cell.scenario, cell.settings
    fleet = fleet_of(scenario.fleet, cell.seed, scenario.simulation.until)
    lesson = lesson_of(settings, scenario.devices, cell.seed)
    recorder = Recorder(fleet.groups, seen)
    world = World(
        world_of.Scenario(
            learner=lesson.learner,
            # How many names a real coordinator takes note of guards its memory; a fleet here is as large as it says.
            rules=replace(rules_of(settings, evaluate=settings.evaluation.enabled), max_known=0),
            plan=plan_of(settings),
            devices=fleet.devices,
            links=link_rules_of(settings),
            seed=cell.seed,
            breaks=fleet.breaks,
            naps=fleet.naps,
            evaluation=lambda weights_P, buffers_B: _told(lesson.measure(weights_P, buffers_B), settings),
            max_staleness=settings.aggregation.max_staleness,
            clip_norm=settings.aggregation.clip_norm,
            norm_guard=settings.aggregation.norm_guard,
            staged_bytes=settings.limits.staged_bytes,
            trainer_start_s=scenario.simulation.trainer_start,
        ),
        recorder,
    )
    return world, recorder


def _told(metrics: dict[str, float], settings: CoordinatorSettings) -> dict[str, float]:
    if settings.stop.target_accuracy and "accuracy" not in metrics:
        found = ", ".join(metrics) or "nothing"
        raise TaskError(
            f"stop.target_accuracy is {settings.stop.target_accuracy}, but task {settings.task.id!r} measures {found}"
            " and no accuracy, so it would never be reached; set it to 0, or have the task's evaluate tell an accuracy"
        )
    # JSON has no word for what is not finite, such as the loss of a model that went astray.
    return {name: figure for name, figure in metrics.items() if math.isfinite(figure)}
