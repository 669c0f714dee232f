"""A coordinator that is killed and comes back begins another training; agents train on meanwhile and join it."""

import re
import urllib.request

import pytest

from thinwire.demo.fleet import free_port

NAMES = ("oak", "elm")


def steps(port: int) -> float:
    """Local steps done, as the agent's own page says."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        [line] = re.findall(r"^thinwire_agent_local_steps (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(line)


def waits(written: str) -> list[str]:
    """How long an agent said it would wait, each time."""
    return re.findall(r"offline, next attempt in (\S+) s", written)


@pytest.mark.slow
async def test_agents_train_on_without_a_coordinator_and_join_the_next_one(processes, until, operator_of) -> None:
    address, ports = f"127.0.0.1:{free_port()}", [free_port(), free_port()]
    sets = ("aggregation.mode=async", "aggregation.min_devices=2", "training.local_steps=5")
    coordinator = processes.lone_coordinator(address, *sets)
    agents = [
        # At its usual level an agent writes of a lost coordinator once; each attempt is for debugging.
        processes.agent(
            address,
            f'metrics.address="127.0.0.1:{port}"',
            'link.backoff_base="100ms"',
            'logs.level="debug"',
            name=name,
        )
        for name, port in zip(NAMES, ports, strict=True)
    ]
    operator = operator_of(address)
    await until(lambda: operator.trains(devices=2, version=10) and all(steps(port) > 0 for port in ports))
    first = operator.status()

    coordinator.kill()
    await until(lambda: all(len(waits(agent.written)) >= 3 for agent in agents))
    before = [steps(port) for port in ports]
    await until(lambda: all(steps(port) > count + 20 for port, count in zip(ports, before, strict=True)))
    assert waits(agents[0].written) != waits(agents[1].written), "jitter: they do not come back in step"

    processes.lone_coordinator(address, *sets)
    await until(lambda: operator.trains(devices=2, version=10))
    second = operator.status()
    assert second.lineage != first.lineage
    assert second.rejected == 0, "deltas of the old lineage are void, not sent"
    assert all(agent.alive for agent in agents)
    assert all("another training has begun" in agent.written for agent in agents)
