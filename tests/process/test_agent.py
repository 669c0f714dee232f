"""An agent is light, survives its trainer, and never forks once gRPC is there."""

import os
import re
import signal
from pathlib import Path

from thinwire.bench.loopback import model_of, serving, settings_of

LINE = model_of(8, 64)
LINE_TASK = ('task.id="line"', "aggregation.mode=async", "training.local_steps=5")
# 55 MB, and as its values are random, a snapshot of more than 50.
LARGE_SHAPE = (3500, 3950)
IDLE_MB, SNAPSHOT_MB = 60.0, 80.0


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_an_idle_agent_takes_60_mb_and_neither_torch_nor_numpy(processes, until) -> None:
    """Connected and ready, but the training has not begun: no model was sent."""
    async with serving(LINE, settings_of(*LINE_TASK, "aggregation.min_devices=2")) as served:
        agent = processes.agent(served.address)
        await until(lambda: served.coordinator.core.roster.live == 1)
        assert agent.memory_mb("VmRSS") <= IDLE_MB
        assert agent.memory_mb("VmHWM") <= IDLE_MB
        heavy = {library for library in agent.libraries() if re.search(r"torch|numpy|libomp|libgomp|openblas", library)}
        assert heavy == set()
        assert any("cygrpc" in library for library in agent.libraries())


async def test_an_agent_takes_80_mb_at_most_while_a_snapshot_of_50_streams_through(processes, until) -> None:
    sizes = ("task.params.outputs=3500", "task.params.inputs=3950", "density.up=1e-4", "density.down=1e-4")
    async with serving(model_of(*LARGE_SHAPE), settings_of(*LINE_TASK, *sizes)) as served:
        agent = processes.agent(served.address)
        await until(lambda: served.coordinator.core.model.version >= 1)
        assert served.coordinator.figures.totals.packed_down > 50e6
        assert agent.memory_mb("VmHWM") <= SNAPSHOT_MB


async def test_a_trainer_that_is_killed_in_mid_step_is_restarted_and_training_goes_on(processes, until) -> None:
    async with serving(LINE, settings_of(*LINE_TASK)) as served:
        agent = processes.agent(served.address)
        coordinator = served.coordinator
        await until(lambda: coordinator.core.model.version >= 5)
        session, record = coordinator.sessions["device"], coordinator.devices["device"]
        await until(lambda: record.report.steps > 0)
        steps, first = record.report.steps, agent.trainer()
        os.kill(first, signal.SIGKILL)
        await until(lambda: record.report.trainer_restarts == 1 and record.report.steps > steps)
        version = coordinator.core.model.version
        await until(lambda: coordinator.core.model.version >= version + 5)
        assert coordinator.sessions["device"] is session, "the agent's stream was never broken"
        assert agent.trainer() != first
        assert record.report.trainer_restarts == 1
        assert coordinator.figures.totals.rejected == 0
    assert "trainer ended (killed by SIGKILL, perhaps for memory)" in agent.written


async def test_an_agent_that_is_told_to_stop_takes_its_trainer_with_it(processes, until) -> None:
    async with serving(LINE, settings_of(*LINE_TASK)) as served:
        agent = processes.agent(served.address)
        await until(lambda: served.coordinator.core.model.version >= 1)
        trainer = agent.trainer()
        assert agent.stop() == 0
        await until(lambda: not exists(trainer))
        await until(lambda: not served.coordinator.sessions)


async def test_a_trainer_whose_agent_is_killed_ends_by_itself(processes, until) -> None:
    """Or it would train for nobody for ever."""
    async with serving(LINE, settings_of(*LINE_TASK)) as served:
        agent = processes.agent(served.address)
        await until(lambda: served.coordinator.core.model.version >= 1)
        trainer = agent.trainer()
        agent.kill()
        await until(lambda: not exists(trainer))
        await until(lambda: not served.coordinator.sessions)
