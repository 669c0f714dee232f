"""A coordinator that is taken back to an earlier state: on purpose agents follow it, by mistake they hold it."""

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from thinwire.demo.fleet import free_port


def thinwire(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thinwire.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ready(port: int) -> tuple[int, str]:
    """Code and words of /readyz; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_backup_put_back_by_mistake_is_held_and_a_rollback_goes_on(
    processes, until, operator_of, tmp_path: Path
) -> None:
    address, pages, state = f"127.0.0.1:{free_port()}", free_port(), tmp_path / "coordinator"
    sets = (
        "aggregation.mode=async", "aggregation.min_devices=2", "training.local_steps=5", f'state.dir="{state}"',
        f'listen.metrics="127.0.0.1:{pages}"',
    )  # fmt: skip
    coordinator = processes.lone_coordinator(address, *sets)
    agents = [
        processes.agent(address, 'link.backoff_base="100ms"', 'link.backoff_cap="300ms"', name=name)
        for name in ("oak", "elm")
    ]
    operator = operator_of(address)
    await until(lambda: operator.trains(devices=2, version=10))
    coordinator.kill()
    shutil.copytree(state, tmp_path / "backup")
    coordinator = processes.lone_coordinator(address, *sets)
    await until(lambda: operator.trains(devices=2, version=30))
    assert ready(pages)[0] == 200

    # Beside a running one nothing is taken back; looking is always allowed.
    refused = thinwire("rollback", state, "--to", 5, "--yes")
    assert refused.returncode == 3
    assert f"(pid {coordinator.pid})" in refused.stderr
    looked = thinwire("journal", "verify", state, "--json")
    assert looked.returncode == 0, looked.stderr

    # The backup is put back as if it were the newest state: agents know better.
    coordinator.kill()
    shutil.rmtree(state)
    shutil.copytree(tmp_path / "backup", state)
    coordinator = processes.lone_coordinator(address, *sets)
    await until(lambda: (status := operator.status()) is not None and "restored from an older backup" in status.reason)
    held = operator.status()
    code, words = ready(pages)
    assert code == 503
    assert "restored from an older backup" in words
    # Agents come back again and again, and nothing moves.
    await until(lambda: all("restored from an older backup" in agent.written for agent in agents))
    assert operator.status().version == held.version

    # The operator decides for the older state; agents go on from there by themselves.
    coordinator.kill()
    done = thinwire("rollback", state, "--to", 5, "--yes")
    assert done.returncode == 0, done.stderr
    assert f"from version {held.version} back to 5" in done.stderr
    coordinator = processes.lone_coordinator(address, *sets)
    await until(lambda: operator.trains(devices=2, version=held.version + 10))
    last = operator.status()
    assert last.lineage != held.lineage
    assert last.rejected == 0, "what was made for the old lineage is abandoned, not sent"
    assert ready(pages)[0] == 200
    assert all(agent.alive for agent in agents)
    assert all("another training has begun" in agent.written for agent in agents)

    coordinator.kill()
    replayed = thinwire("journal", "replay", state, "--json")
    assert replayed.returncode == 0, replayed.stderr
    versions = [json.loads(line) for line in replayed.stdout.splitlines()]
    assert versions[0]["version"] == 6, "the new lineage begins after the version that was asked for"
    assert f"{last.checksum:016x}" in {row["checksum"] for row in versions}
