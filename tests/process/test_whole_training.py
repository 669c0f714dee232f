"""A training from its first word to its last, as a user starts it: one coordinator, two agents, nothing else."""

import pytest

from thinwire.demo.fleet import free_port


@pytest.mark.slow
async def test_two_agents_train_to_the_end_and_hold_the_same_model(processes, until, operator_of) -> None:
    address = f"127.0.0.1:{free_port()}"
    coordinator = processes.coordinator(
        address, "stop.max_commits=12", "aggregation.mode=sync", "aggregation.min_devices=2", "training.local_steps=5"
    )
    leaves = processes.agent(address, "exit.when_finished=true", name="oak")
    stays = processes.agent(address, name="elm")
    operator = operator_of(address)
    await until(lambda: not leaves.alive)
    assert leaves.process.returncode == 0
    await until(lambda: operator.devices()["elm"].report.checksum)

    status, devices = operator.status(), operator.devices()
    assert (status.phase, status.version, status.connected) == ("finished", 12, 1)
    for row in devices.values():
        assert (row.report.version, row.report.checksum) == (12, status.checksum)
        assert row.accepted >= 12
    assert status.wire_bytes_up > status.packed_bytes_up > 0

    assert coordinator.stop() == 0
    await until(lambda: "this coordinator is going down" in stays.written)
    assert stays.alive
