"""A fleet that trains, misfortunes included, in virtual time.

    history = World(scenario).run(until=600.0)

Coordinator and devices are the product's own cores; only sockets, processes and clocks are missing. Every random choice
comes from the scenario's seed, so a scenario has one history.
"""

from __future__ import annotations

import random

from thinwire.common import values
from thinwire.server import core, effects, events
from thinwire.server.admit import Admission
from thinwire.server.model import GlobalModel
from thinwire.server.plans import Plans
from thinwire.server.staging import Staging
from thinwire.server.state import Identity, RunState
from thinwire.server.training import max_kept
from thinwire.sim.agenda import Agenda
from thinwire.sim.coordinator import Coordinator
from thinwire.sim.device import Device
from thinwire.sim.disk import SimFolder
from thinwire.sim.line import Line
from thinwire.sim.scenario import History, Row, Scenario
from thinwire.trainer.course import Learner


class Watch:
    """Looks on; override what is of interest."""

    def decided(self, world: World, event: events.Event, decided: list[effects.Effect]) -> None:
        """The coordinator's core has handled an event."""

    def arrived(self, device: str, word: values.FromDevice | values.FromCoordinator) -> None:
        """A word has arrived, from this device or at it."""

    def moment(self, world: World) -> None:
        """Something has happened, and everything that followed from it at once."""


class World:
    """One coordinator and its devices, from the first dial."""

    def __init__(self, scenario: Scenario, watch: Watch | None = None) -> None:
        self.scenario = scenario
        self.agenda = Agenda()
        self._watch = watch or Watch()
        self._rows: list[Row] = []
        self.coordinator = self._coordinator(scenario.learner(0))
        self.devices = [self._device(number) for number in range(len(scenario.devices))]
        for trouble in scenario.breaks:
            self._plan_break(self.devices[trouble.device].line, trouble.at, trouble.for_s, trouble.notice_s)
        for nap in scenario.naps:
            self._plan_break(self.devices[nap.device].line, nap.at, nap.for_s, nap.notice_s)
            self._plan_nap(self.devices[nap.device], nap.at, nap.for_s)
        for loss in scenario.trainer_losses:
            self.agenda.at(loss.at, self.devices[loss.device].lose_trainer)

    def run(self, until: float) -> History:
        """Go on until that time, or until nothing more can happen; the history so far."""
        while self.agenda.step(until):
            if self.agenda.quiet:
                self._watch.moment(self)
        decided = self.coordinator.core
        return History(tuple(self._rows), decided.state.reason, dict(decided.state.metrics))

    # -- building ----------------------------------------------------------------------------------------------

    def _coordinator(self, first: Learner) -> Coordinator:
        scenario, layout = self.scenario, first.layout
        model = GlobalModel(layout, first.buffer_layout, first.weights_P, first.read_buffers())
        admission = Admission(
            layout=layout,
            buffer_layout=first.buffer_layout,
            max_kept=max_kept(scenario.plan.density, scenario.rules.density, layout.size),
            max_bytes=scenario.plan.max_delta_bytes,
            max_staleness=scenario.max_staleness,
            clip_norm=scenario.clip_norm,
            norm_guard=scenario.norm_guard,
        )
        lineage = random.Random(f"{scenario.seed} lineage").randbytes(16)
        state = RunState(Identity(lineage=lineage, task="simulated"), model)
        decisions = core.CoordinatorCore(scenario.rules, state, admission)
        welcome = values.Welcome(lineage, 0, "simulated", "{}", layout.hash, scenario.plan, 0)
        staging = Staging(scenario.plan.max_delta_bytes, scenario.staged_bytes)
        plans = Plans.of(scenario.plan, scenario.links, layout.size)
        return Coordinator(self.agenda, decisions, welcome, staging, self._note, scenario.evaluation, plans)

    def _device(self, number: int) -> Device:
        scenario, description = self.scenario, self.scenario.devices[number]
        name = f"device-{number}"
        link_dice = random.Random(f"{scenario.seed} link {number}")
        line = Line(self.agenda, description, link_dice, lambda word: self._watch.arrived(name, word))
        dice = random.Random(f"{scenario.seed} agent {number}")
        device = Device(
            self.agenda, name, description, line, self.coordinator.sessions, lambda: scenario.learner(number),
            scenario.trainer_start_s, dice, SimFolder(name, random.Random(f"{scenario.seed} disk {number}")),
        )  # fmt: skip
        device.tells_figures = scenario.links is not None
        return device

    def _plan_break(self, line: Line, at: float, for_s: float, notice_s: float) -> None:
        self.agenda.at(at, lambda: line.break_for(for_s, notice_s))

    def _plan_nap(self, device: Device, at: float, for_s: float) -> None:
        self.agenda.at(at, lambda: device.nap(at + for_s))

    # -- noting ------------------------------------------------------------------------------------------------

    def _note(self, event: events.Event, decided: list[effects.Effect]) -> None:
        for effect in decided:
            if isinstance(effect, effects.Published):
                self._rows.append(self._row(effect))
        self._watch.decided(self, event, decided)

    def _row(self, effect: effects.Published) -> Row:
        commit = effect.commit
        up_bytes = sum(device.line.up_bytes for device in self.devices)
        down_bytes = sum(device.line.down_bytes for device in self.devices)
        checksum = self.coordinator.core.model.checksum
        return Row(self.agenda.now, commit.version, checksum, commit.folded, up_bytes, down_bytes)
