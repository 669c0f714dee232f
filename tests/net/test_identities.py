"""The exact identities through the real gRPC path: C4 (no delay in the sum of all), C5 (nothing lost), C10 (whatever
is sent twice, lost on the way back, or cut off by a coordinator that starts anew).

The devices are the agent's own cores with the trainer's own course; only their steps are in virtual time.
P parameters.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from grpc_line import GrpcLine
from numpy.typing import NDArray

from thinwire.bench.loopback import Serving, serving, settings_of
from thinwire.common.layout import Layout, TensorSpec
from thinwire.server.evaluator import ModelDescription
from thinwire.server.home import Home
from thinwire.sim.agenda import Agenda
from thinwire.sim.device import Device
from thinwire.sim.disk import SimFolder
from thinwire.sim.learners import Quadratic, WholeSteps
from thinwire.sim.scenario import Device as Description

SIZE, DEVICES = 200, 4
MODEL = ModelDescription(
    Layout((TensorSpec("w", (SIZE,)),)), Layout(()), np.zeros(SIZE, np.float32), np.zeros(0, np.float32)
)


class Noted(Quadratic):
    """A bowl that notes the sum of its own increments, in float64."""

    def __init__(self, number: int) -> None:
        draw = np.random.default_rng(number)
        super().__init__(draw.normal(scale=0.3, size=SIZE), draw.uniform(0.2, 2.0, size=SIZE))
        self.born_P = np.zeros(SIZE)

    def step(self) -> float:
        """One step of gradient descent."""
        before_P = self.weights_P.astype(np.float64)
        loss = super().step()
        self.born_P += self.weights_P - before_P
        return loss


class Fleet:
    """Devices in one virtual time, which passes while the test waits for something."""

    def __init__(self, address: str, learner: Callable[[int], WholeSteps | Noted], *, stammers: bool = False) -> None:
        self.agenda = Agenda()
        self.lines = [GrpcLine(address, stammers=stammers) for _ in range(DEVICES)]
        self.devices = [
            Device(
                self.agenda, f"device-{number}", Description(), line, None, lambda number=number: learner(number), 0.0,
                random.Random(number), SimFolder(f"device-{number}", random.Random(number)),
            )
            for number, line in enumerate(self.lines)
        ]  # type: ignore[arg-type]  # fmt: skip

    async def go_on_until(self, cuts: int) -> None:
        """Train until each device has cut so many deltas."""
        async with asyncio.timeout(60):
            while min(device.trainer.course.cuts if device.trainer else 0 for device in self.devices) < cuts:
                self.agenda.step(until=float("inf"))
                self._obey_all()
                await asyncio.sleep(0.0005)

    def _obey_all(self) -> None:
        """Let everything happen that takes no time: whatever has come in is taken to the trainers."""
        for device in self.devices:
            if device.trainer is not None:
                device.trainer.course.drain()
        while not self.agenda.quiet:
            self.agenda.step(self.agenda.now)

    async def settle(self, served: Serving) -> None:
        """Take no further step, and wait until all that was cut is in the model that everyone holds."""
        for device in self.devices:
            device.nap(self.agenda.now + 1e9)
        async with asyncio.timeout(60):
            while not self._settled(served):
                self.agenda.step(self.agenda.now + 2)  # a step that was begun is ended
                self._obey_all()
                await asyncio.sleep(0.005)

    def _settled(self, served: Serving) -> bool:
        core = served.coordinator.core
        courses = [device.trainer.course for device in self.devices if device.trainer]
        return self.agenda.quiet and all(
            course.replica.version == core.model.version and not course.replica.pending for course in courses
        )

    def gap(self, served: Serving) -> NDArray[np.float64]:
        """z - z0 - sum of p u, where z = W + the coordinator's residual + sum of p (e + A); (P,)."""
        model = served.coordinator.core.model
        there_P = model.weights_P.astype(np.float64) + model.residual_P
        for device in self.devices:
            assert device.trainer is not None
            replica, learner = device.trainer.course.replica, device.trainer.learner
            own_P = replica.residual_P.astype(np.float64) + replica.unsent_P
            own_P += replica.working_P.astype(np.float64) - replica.origin_P
            there_P += (own_P - learner.born_P) / DEVICES  # type: ignore[attr-defined]  # of both learners here
        return there_P

    async def close(self) -> None:
        """Hang up."""
        for line in self.lines:
            for call in line.calls:
                await call.close()


def settings(*sets: str) -> object:
    usual = (
        "aggregation.mode=async", f"aggregation.min_devices={DEVICES}", "training.local_steps=3", "density.up=0.1",
        "density.down=0.05", "training.learning_rate=0.02", "training.window=3",
    )  # fmt: skip
    return settings_of(*usual, *sets)


@asynccontextmanager
async def coordinator(sets: tuple[str, ...], path: Path | None = None) -> AsyncIterator[Serving]:
    home = Home(path) if path else None
    try:
        async with serving(MODEL, settings(*sets), home) as served:
            yield served
    finally:
        if home:
            home.close()


@pytest.mark.parametrize("residual", ["release", "keep", "private"])
@pytest.mark.parametrize("selection", ["top", "mask"])
@pytest.mark.parametrize("values", ["log3", "fp32"])
async def test_c4_the_sum_of_all_knows_no_delay_and_no_compression(residual: str, selection: str, values: str) -> None:
    """Up and down are compressed; what the coordinator has not sent yet counts, too."""
    sets = (
        f"correction.residual={residual}", f"density.selection={selection}", f"density.values={values}",
        f"density.values_down={values}",
    )  # fmt: skip
    async with coordinator(sets) as served:
        fleet = Fleet(served.address, Noted)
        try:
            await fleet.go_on_until(cuts=8)
            await fleet.settle(served)
            # A commit that lies on its delta's own mask leaves nothing behind, but what coarse values do.
            whole = selection == "mask" and values == "fp32"
            assert served.coordinator.core.model.residual_P.any() != whole
            assert np.abs(served.coordinator.core.model.weights_P).max() > 1e-2
            assert np.abs(fleet.gap(served)).max() < 1e-6
        finally:
            await fleet.close()


async def test_c5_c10_nothing_is_lost_or_doubled_over_duplicates_lost_answers_and_a_restart(tmp_path: Path) -> None:
    """Whole-number steps and four devices: equal to the last bit."""
    sets = ("density.values=fp32", "density.values_down=fp32")
    async with coordinator(sets, tmp_path) as served:
        fleet = Fleet(served.address, lambda number: WholeSteps(SIZE, number), stammers=True)
        for number, line in enumerate(fleet.lines):
            await fleet.go_on_until(cuts=2 * number + 2)
            await line.lose_answers()
    try:
        async with coordinator(sets, tmp_path) as served:
            for line in fleet.lines:
                line.address = served.address
            await fleet.go_on_until(cuts=12)
            await fleet.settle(served)
            assert all(len(line.calls) >= 2 for line in fleet.lines)
            assert served.coordinator.core.state.leader_epoch == 2
            deltas = {"outcome": "repeated"}
            assert served.coordinator.metrics.registry.get_sample_value("thinwire_deltas_total", deltas) >= 5
            assert not fleet.gap(served).any()
    finally:
        await fleet.close()
