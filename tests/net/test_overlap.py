"""C12 through real gRPC: a round trip of five rounds is hidden behind local steps, and without overlap it is not.

Coordinator, streams and messages are real; the way between them and the local steps take virtual time, and gRPC takes
none: time stands still until all that was said has been heard. So the counts below know no clock of this machine.
"""

import asyncio
import random

import numpy as np
import pytest
from grpc_line import GrpcCall, GrpcLine

from thinwire.bench.loopback import Serving, serving, settings_of
from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.values import CommitChunk, Echo, FromCoordinator, FromDevice, SnapshotChunk
from thinwire.server.evaluator import ModelDescription
from thinwire.sim.agenda import Agenda
from thinwire.sim.device import Device
from thinwire.sim.disk import SimFolder
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Device as Description

SIZE, DEVICES, LOCAL_STEPS, COMMITS = 200, 3, 10, 30
MODEL = ModelDescription(
    Layout((TensorSpec("w", (SIZE,)),)), Layout(()), np.zeros(SIZE, np.float32), np.zeros(0, np.float32)
)


class FarCall(GrpcCall):
    """Each word is under way for half a round trip before gRPC has it, or after."""

    def __init__(self, line: "FarLine", device: Device) -> None:
        self.half_s, self.agenda = line.half_s, line.agenda
        self.said = self.asked = self.answered = 0
        self.version = -1
        super().__init__(line, device)

    def say_up(self, word: FromDevice) -> None:
        """Let a word set off."""
        self.agenda.at(self.agenda.now + self.half_s, lambda: self._say_now(word))

    def _say_now(self, word: FromDevice) -> None:
        self.said += 1
        super().say_up(word)

    def ask(self) -> None:
        """Unless it was asked before, ask what the coordinator answers when it has heard all until now."""
        if self.asked < self.said:
            self.asked = self.said
            super().say_up(Echo(b"%d words" % self.asked))

    def _hear(self, word: FromCoordinator) -> None:
        if isinstance(word, Echo) and word.token.endswith(b" words"):
            self.answered = int(word.token.split()[0])
            return
        if isinstance(word, CommitChunk | SnapshotChunk):  # so small a model comes in one
            self.version = word.version
        hear = super()._hear
        self.agenda.at(self.agenda.now + self.half_s, lambda: hear(word))


class FarLine(GrpcLine):
    """A way to the coordinator that takes time."""

    def __init__(self, address: str, agenda: Agenda, half_s: float) -> None:
        super().__init__(address, stammers=False)
        self.agenda, self.half_s = agenda, half_s

    def dial(self, device: Device, coordinator: object) -> FarCall:
        """Open a stream."""
        self.calls.append(FarCall(self, device))
        return self.calls[-1]  # type: ignore[return-value]


class Fleet:
    """Devices with steps of one second, far from the coordinator."""

    def __init__(self, served: Serving, half_s: float) -> None:
        self.served, self.agenda = served, Agenda()
        self.lines = [FarLine(served.address, self.agenda, half_s) for _ in range(DEVICES)]
        self.devices = [
            Device(
                self.agenda, f"device-{number}", Description(), line, None,
                lambda number=number: Quadratic(np.full(SIZE, number), np.ones(SIZE)), 0.0, random.Random(number),
                SimFolder(f"device-{number}", random.Random(number)),
            )
            for number, line in enumerate(self.lines)
        ]  # type: ignore[arg-type]  # fmt: skip

    async def train(self) -> list[float]:
        """When each commit was made, in seconds since all devices had joined."""
        core, joined_at, made_at = self.served.coordinator.core, 0.0, list[float]()
        async with asyncio.timeout(60):
            while len(made_at) < COMMITS:
                await self._hear_all()
                made_at += [self.agenda.now - joined_at] * (core.model.version - len(made_at))
                assert self.agenda.step(until=1e6), "nothing more happens"
                if core.phase == "starting":
                    joined_at = self.agenda.now
        return made_at

    async def _hear_all(self) -> None:
        """Time stands still until the coordinator has heard everything, and each device the version that came of it."""
        calls = [call for line in self.lines for call in line.calls]
        for call in calls:
            call.ask()
        while not self._heard(calls):  # noqa: ASYNC110  # what is waited for knows nothing of tests
            await asyncio.sleep(0)

    def _heard(self, calls: list[FarCall]) -> bool:
        core = self.served.coordinator.core
        version = core.model.version if core.phase != "starting" else -1
        return all(call.answered == call.asked and call.version >= version for call in calls)

    async def close(self) -> None:
        """Hang up."""
        for line in self.lines:
            for call in line.calls:
                await call.close()


@pytest.mark.parametrize(("overlap", "rounds_away"), [(True, 0), (True, 5), (False, 5)])
async def test_c12_a_round_trip_of_five_rounds_costs_nothing_but_the_first(overlap: bool, rounds_away: int) -> None:
    """R commits take R rounds of K steps and one round trip; who waits pays the round trip for each."""
    away_s = rounds_away * LOCAL_STEPS
    sets = (
        f"training.overlap={str(overlap).lower()}", f"training.local_steps={LOCAL_STEPS}",
        "training.learning_rate=0.01", "aggregation.mode=sync", "aggregation.quorum=1.0", "aggregation.deadline=1h",
        f"aggregation.min_devices={DEVICES}",
    )  # fmt: skip
    async with serving(MODEL, settings_of(*sets)) as served:
        fleet = Fleet(served, away_s / 2)
        try:
            made_at = await fleet.train()
        finally:
            await fleet.close()
    courses = [device.trainer.course for device in fleet.devices if device.trainer]
    if not overlap:
        assert made_at == [n * (away_s + LOCAL_STEPS) for n in range(1, COMMITS + 1)]
        assert all(course.wait_s > 4 * course.compute_s for course in courses)
        return
    assert made_at == [away_s + n * LOCAL_STEPS for n in range(1, COMMITS + 1)]
    assert made_at[-1] < 1.3 * COMMITS * LOCAL_STEPS
    assert [course.wait_s for course in courses] == [0] * DEVICES
    for course in courses:
        assert away_s <= course.replica.delays.percentile(0.5) <= course.replica.delays.percentile(0.95) <= away_s + 1
