"""Real processes: agents with their trainers, and sometimes a coordinator, as `thinwire` starts them.

Where only the agent is in question, the coordinator lives in the test itself. Whatever a test does, no process may
write a traceback or gRPC's complaint about forks: `processes` looks at what each has written when the test is over.
"""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from thinwire.bench.lone import memory_bytes
from thinwire.v1 import operator_pb2, operator_pb2_grpc

TASK = 'tasks.line="thinwire.bench.line:Line"'
# Torch takes seconds to import, and several times that on a busy machine.
PATIENCE_S = 90.0
UNWANTED = re.compile(r"fork_posix|Traceback|Other threads are currently calling into gRPC")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for all: grpc.aio is made for one a process."""
    for item in items:
        if "tests/process" in item.path.as_posix() and asyncio.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@dataclass(slots=True)
class Running:
    """One process, what the kernel says of it, and what it has written."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def written(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def children(self) -> list[int]:
        """The processes that it has started and that still run."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def trainer(self) -> int:
        """The process id of an agent's trainer."""
        [trainer] = self.children()
        return trainer

    def memory_mb(self, line: str) -> float:
        """Resident memory in units of 10^6 bytes: VmRSS now, VmHWM the most it ever had."""
        return memory_bytes(self.pid, line) / 1e6

    def libraries(self) -> set[str]:
        """Everything that is mapped from a file."""
        maps = Path(f"/proc/{self.pid}/maps").read_text()
        return {line.split(maxsplit=5)[5] for line in maps.splitlines() if len(line.split(maxsplit=5)) == 6}

    def kill(self) -> None:
        """End it without a last word."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end, and give its exit code."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@dataclass(slots=True)
class Processes:
    """The processes of one test."""

    folder: Path
    started: list[Running] = field(default_factory=list)

    def agent(self, address: str, *sets: str, name: str = "device") -> Running:
        """Start an agent."""
        folder = f'state.dir="{self.folder / "state" / name}"'
        chosen = (
            f'coordinator.address="{address}"', f'device.name="{name}"', 'link.backoff_cap="2s"', folder, TASK, *sets
        )  # fmt: skip
        return self._start(name, "-m", "thinwire.cli", "agent", *options(chosen))

    def coordinator(self, address: str, *sets: str) -> Running:
        """Start a coordinator for the task here."""
        chosen = (f'listen.address="{address}"', 'listen.metrics=""', 'task.id="line"', TASK, *sets)
        return self._start("coordinator", "-m", "thinwire.cli", "coordinator", *options(chosen))

    def lone_coordinator(self, address: str, *sets: str) -> Running:
        """Start one that never imports torch, and so is there at once."""
        chosen = (f'listen.address="{address}"', 'task.id="line"', *sets)
        return self._start("coordinator", "-m", "thinwire.bench.lone", "8x64", *chosen)

    def _start(self, name: str, *arguments: str) -> Running:
        log = self.folder / f"{name}-{len(self.started)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self.started.append(Running(process, log))
        return self.started[-1]


def options(sets: tuple[str, ...]) -> list[str]:
    """Settings as `thinwire` takes them."""
    return [argument for setting in sets for argument in ("--set", setting)]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes; ends them after the test, and reads what they have written."""
    processes = Processes(tmp_path)
    try:
        yield processes
    finally:
        for running in reversed(processes.started):
            running.stop()
    for running in processes.started:
        assert not UNWANTED.search(running.written), running.written


class Operator:
    """Asks a coordinator, whichever is there."""

    def __init__(self, address: str) -> None:
        self._address = address

    def status(self) -> operator_pb2.GetStatusResponse | None:
        """Its status, or None when nobody answers."""
        with grpc.insecure_channel(self._address) as channel:
            try:
                return operator_pb2_grpc.OperatorServiceStub(channel).GetStatus(
                    operator_pb2.GetStatusRequest(), timeout=5
                )
            except grpc.RpcError:
                return None

    def trains(self, devices: int, version: int) -> bool:
        """Whether that many devices have brought the model to that version."""
        status = self.status()
        return status is not None and status.connected == devices and status.version >= version

    def devices(self) -> dict[str, operator_pb2.Device]:
        """Every device that ever took part."""
        with grpc.insecure_channel(self._address) as channel:
            stub = operator_pb2_grpc.OperatorServiceStub(channel)
            return {row.name: row for row in stub.ListDevices(operator_pb2.ListDevicesRequest(), timeout=5).devices}


@pytest.fixture
def operator_of() -> type[Operator]:
    """Asks the coordinator at an address."""
    return Operator


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Waits for something that is about to be true."""

    async def until(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110  # what is waited for is another process
                await asyncio.sleep(0.02)

    return until
