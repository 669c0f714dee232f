"""An agent that is killed comes back as who it was: in the same epoch, with the same upload, and nothing twice."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from thinwire.bench.loopback import model_of, serving, settings_of
from thinwire.client.store import Store
from thinwire.common import frames
from thinwire.common.address import Address
from thinwire.common.disk import OsFolder
from thinwire.common.link import LinkProfile
from thinwire.common.values import CHUNK_BYTES
from thinwire.demo.link import Link

KILLS = 3
# A dense delta of this model is some two chunks, and takes half a second: there is always one under way.
OUTPUTS, INPUTS = 512, 512
SLOW = LinkProfile(rtt_s=0.02, rate_bps=4e6)
FRAMING_BYTES = 16_000  # greetings and reports of one life, and what HTTP/2 adds to it
TASK = (
    'task.id="line"', "aggregation.mode=async", "training.local_steps=5", "density.up=1.0",
    f"task.params.outputs={OUTPUTS}", f"task.params.inputs={INPUTS}",
)  # fmt: skip


@pytest.mark.slow
async def test_an_agent_that_is_killed_in_mid_upload_goes_on_with_it(processes, until) -> None:
    async with serving(model_of(OUTPUTS, INPUTS), settings_of(*TASK)) as served:
        coordinator = served.coordinator
        async with Link(Address("127.0.0.1", served.port), SLOW) as link:
            address = f"127.0.0.1:{link.port}"
            agent = processes.agent(address)
            for _ in range(KILLS):
                version, sent = coordinator.core.model.version, link.bytes_up
                await until(lambda version=version: coordinator.core.model.version >= version + 3)
                await until(lambda sent=sent: link.bytes_up > sent + CHUNK_BYTES)
                agent.kill()
                agent = processes.agent(address)
            version = coordinator.core.model.version
            await until(lambda: coordinator.core.model.version >= version + 3)
            uploaded, counted = link.bytes_up, coordinator.figures.totals.packed_up
            row = coordinator.core.ledger.row("device")
            agent.kill()
        assert row.epoch == 1, "it was never taken for another device"
        assert row.contiguous == coordinator.core.roster.members["device"].accepted
        assert coordinator.figures.totals.rejected == 0
        # One upload may have been under way when the bytes were counted.
        underway = 1.1 * counted / row.contiguous
        repeated = uploaded - 1.02 * counted - underway
        assert repeated <= KILLS * CHUNK_BYTES + (KILLS + 1) * FRAMING_BYTES


async def test_an_agent_that_is_killed_in_mid_snapshot_goes_on_with_it(processes, until) -> None:
    model = model_of(OUTPUTS, 2 * INPUTS)
    wider = (*TASK, f"task.params.inputs={2 * INPUTS}", "aggregation.min_devices=1")
    async with serving(model, settings_of(*wider)) as served:
        async with Link(Address("127.0.0.1", served.port), SLOW) as link:
            agent = processes.agent(f"127.0.0.1:{link.port}")
            await until(lambda: link.bytes_down > 10 * CHUNK_BYTES)
            agent.kill()
            processes.agent(f"127.0.0.1:{link.port}")
            await until(lambda: served.coordinator.core.ledger.row("device").contiguous >= 1)
        # Random values hardly become smaller; the first ten chunks of them came once.
        snapshot_bytes = 4 * OUTPUTS * 2 * INPUTS
        assert 0.9 * snapshot_bytes < link.bytes_down <= snapshot_bytes + 2 * CHUNK_BYTES


async def test_an_agent_that_is_told_to_stop_leaves_all_that_it_learned(processes, until, tmp_path: Path) -> None:
    sets = ('task.id="line"', "aggregation.mode=async", "training.local_steps=5")
    async with serving(model_of(8, 64), settings_of(*sets)) as served:
        agent = processes.agent(served.address)
        await until(lambda: served.coordinator.core.model.version >= 5)
        assert agent.stop() == 0
    folder = OsFolder(tmp_path / "state" / "device")
    store = Store(folder)
    assert isinstance(next(store.replay())[0], frames.Restore)
    assert store.recover().forgotten_cuts == 0
    assert "told to stop" in agent.written


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    path = tmp_path / "disk"
    path.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", path]).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.slow
async def test_a_full_disk_is_waited_for(processes, until, small_disk: Path) -> None:
    """Nothing leaves that was not written; when there is room again it does, and the training was never broken off."""
    sets = ('task.id="line"', "aggregation.mode=async", "training.local_steps=5")
    async with serving(model_of(8, 64), settings_of(*sets)) as served:
        coordinator = served.coordinator
        agent = processes.agent(served.address, f'state.dir="{small_disk}"')
        await until(lambda: coordinator.core.model.version >= 3)
        with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(512))
        await until(lambda: "DEVICE_STORAGE: cannot write" in agent.written)
        await until(lambda: coordinator.devices["device"].report.storage_refused)
        stuck, steps = coordinator.core.model.version, coordinator.devices["device"].report.steps
        (small_disk / "filler").unlink()
        await until(lambda: coordinator.core.model.version >= stuck + 3)
        await until(lambda: "DEVICE_STORAGE is over" in agent.written)
        await until(lambda: coordinator.devices["device"].report.steps > steps)
        assert coordinator.core.ledger.row("device").epoch == 1
        assert coordinator.figures.totals.rejected == 0
        assert agent.alive


async def test_two_agents_cannot_be_the_same_device(processes, until) -> None:
    async with serving(model_of(8, 64), settings_of('task.id="line"', "aggregation.min_devices=2")) as served:
        processes.agent(served.address)
        await until(lambda: served.coordinator.sessions)
        second = processes.agent(served.address)
        await until(lambda: not second.alive)
        assert second.process.returncode == 3
        assert "another running process uses" in second.written
        assert served.coordinator.sessions
