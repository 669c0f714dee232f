"""What a soak trains and how: settings of its coordinator and agents, in the folder where their state is kept."""

from __future__ import annotations

from pathlib import Path

from thinwire.chaos.network import Plan
from thinwire.chaos.options import SoakOptions
from thinwire.common.settings import AgentSettings, CoordinatorSettings, loads

PORT = 8470
PEOPLE = 10
# Accepted deltas that may wait for the next commit.
BUFFER = 2


def name_of(device: int) -> str:
    """The name of a device."""
    return f"watch-{device:02d}"


def network_of(options: SoakOptions, port: int) -> Plan:
    """The lines of this run."""
    return Plan(
        kind=options.network, lines=options.lines, devices=options.devices, seed=options.seed, port=port
    )  # fmt: skip


def state_of(folder: Path, name: str) -> Path:
    """Where a process keeps what it must not lose."""
    return folder / f"{name}.state"


def coordinator_settings(options: SoakOptions, folder: Path, port: int) -> CoordinatorSettings:
    """The coordinator of this run; it would train for ever."""
    everywhere = options.network == "namespaces"
    chosen = [
        f'listen.address="{"0.0.0.0" if everywhere else "127.0.0.1"}:{port}"',
        # Nobody but the fleet can reach the hub.
        f"listen.insecure={str(everywhere).lower()}",
        'listen.metrics=""',
        'task.id="watch"',
        f"task.seed={options.seed}",
        "training.learning_rate=0.1",
        "density.up=0.03",
        "density.down=0.05",
        f"aggregation.buffer={BUFFER}",
        "evaluation.every_commits=25",
    ]
    if "state" in CoordinatorSettings.__struct_fields__:
        chosen.append(f'state.dir="{state_of(folder, "coordinator")}"')
    return loads("", CoordinatorSettings, tuple(chosen), "the soak")


def agent_settings(options: SoakOptions, folder: Path, device: int, address: str) -> AgentSettings:
    """One agent of this run: one person of the data set."""
    chosen = (
        f'coordinator.address="{address}"',
        "coordinator.insecure=true",
        f'device.name="{name_of(device)}"',
        f"device.shards={PEOPLE}",
        f"device.shard={device % PEOPLE}",
        f"device.seed={options.seed * 1000 + device}",
        'link.backoff_base="200ms"',
        'link.backoff_cap="2s"',
        f'state.dir="{state_of(folder, name_of(device))}"',
    )
    return loads("", AgentSettings, chosen, "the soak")
