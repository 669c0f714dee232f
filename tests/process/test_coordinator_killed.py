"""A coordinator that is killed comes back with the same training, and its agents go on with it by themselves."""

from pathlib import Path

import pytest

from thinwire.common.disk import OsFolder
from thinwire.demo.fleet import free_port
from thinwire.server import entries
from thinwire.server.home import newest_run
from thinwire.server.journal import Journal

KILLS = 5


@pytest.mark.slow
async def test_a_training_survives_its_coordinator_and_every_delta_counts_once(
    processes, until, operator_of, tmp_path: Path
) -> None:
    address, state = f"127.0.0.1:{free_port()}", tmp_path / "coordinator"
    sets = (
        "aggregation.mode=async",
        "aggregation.min_devices=2",
        "training.local_steps=5",
        f'state.dir="{state}"',
    )
    coordinator = processes.lone_coordinator(address, *sets)
    agents = [
        processes.agent(address, 'link.backoff_base="100ms"', 'link.backoff_cap="300ms"', name=name)
        for name in ("oak", "elm")
    ]
    operator = operator_of(address)
    await until(lambda: operator.trains(devices=2, version=10))
    first = operator.status()

    version = first.version
    for _ in range(KILLS):
        coordinator.kill()
        coordinator = processes.lone_coordinator(address, *sets)
        await until(lambda wanted=version + 10: operator.trains(devices=2, version=wanted))
        version = operator.status().version
    last = operator.status()
    assert last.lineage == first.lineage
    assert all(agent.alive for agent in agents)
    assert not any("another training has begun" in agent.written for agent in agents)

    coordinator.kill()
    run = newest_run(state)
    assert run is not None
    journal = Journal(OsFolder(run, lock=False))
    found = list(journal.read(1))
    settled = [(e.device, e.epoch, e.seq) for _, e, _ in found if isinstance(e, entries.Admitted | entries.Rejected)]
    commits = [e for _, e, _ in found if isinstance(e, entries.Committed)]
    assert len(set(settled)) == len(settled)
    assert {epoch for _, epoch, _ in settled} == {1}, "no device was ever taken for another one"
    assert [commit.version for commit in commits] == list(range(1, len(commits) + 1))
    assert sum(commit.folded for commit in commits) == sum(isinstance(e, entries.Admitted) for _, e, _ in found)
    assert journal.recover().state.model.checksum == commits[-1].checksum
