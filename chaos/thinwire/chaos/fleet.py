"""The soak's processes: started, struck, and started again with the very same command, as a service manager would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from thinwire.common.errors import TaskError

STOP_GRACE_S = 10.0
LOG_LINES_SHOWN = 12
# A traceback; a device whose model is not the coordinator's; gRPC's complaint about forks.
UNWANTED = re.compile(r"^Traceback|has checksum|fork_posix")


@dataclass(slots=True)
class Process:
    """One process through all its lives."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str] | None = None
    now: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    lives: int = 0

    def start(self) -> None:
        """Begin another life."""
        with self.log.open("ab") as file:
            # The kernel takes it along when the soak is gone, however that went. `vfork` and `exec`, never `fork`:
            # this process has gRPC's threads.
            self.now = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=self.environment,
                start_new_session=True,
            )
        self.began = time.monotonic()
        self.lives += 1

    @property
    def pid(self) -> int | None:
        """Its process id, while it lives."""
        return self.now.pid if self.now is not None and self.now.poll() is None else None

    def children(self) -> list[int]:
        """The processes that it has started."""
        return children(self.pid) if self.pid is not None else []

    def end(self) -> None:
        """SIGKILL."""
        if self.now is not None:
            self.now.kill()
            self.now.wait()
            self.now = None

    def pull_the_plug(self) -> None:
        """SIGKILL of it and all that it has started, at one time, whatever sessions those have made."""
        if self.now is not None:
            for pid in [self.now.pid, *descendants(self.now.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.end()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self.pid is not None:
            os.kill(self.pid, number)

    def last_words(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return f"the end of {self.log}:\n" + "\n".join(f"  {line}" for line in lines)


def children(pid: int) -> list[int]:
    """The processes that a process has started, from whichever of its threads."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """Those, and those that they have started."""
    return [found for child in children(pid) for found in (child, *descendants(child))]


@dataclass(slots=True)
class Fleet:
    """All of them, by name."""

    folder: Path
    processes: dict[str, Process] = field(default_factory=dict)

    def start(self, name: str, *arguments: str, namespace: str = "") -> Process:
        """Start a thinwire command, in a namespace's file or in this one."""
        return self.run(name, [sys.executable, "-m", "thinwire.cli", *arguments], namespace)

    def run(
        self, name: str, command: list[str], namespace: str = "", environment: dict[str, str] | None = None
    ) -> Process:
        """Start any command."""
        if namespace:
            command = ["nsenter", f"--net={namespace}", *command]
        process = self.processes[name] = Process(name, command, self.folder / f"{name}.log", environment)
        process.start()
        return process

    def check(self) -> None:
        """Raise TaskError if any has ended that nobody struck."""
        for process in self.processes.values():
            if process.now is not None and process.now.poll() is not None:
                code = process.now.returncode
                raise TaskError(f"{process.name} ended by itself with exit code {code}; {process.last_words()}")

    def unwanted(self) -> list[str]:
        """Lines that no process should ever write, each with the name of its log."""
        return [
            f"{process.log.name}: {line.strip()}"
            for process in self.processes.values()
            for line in process.log.read_text(encoding="utf-8", errors="replace").splitlines()
            if UNWANTED.search(line)
        ]

    def stop(self, *names: str) -> None:
        """End these as a service manager does: SIGTERM, and SIGKILL for who does not listen."""
        chosen = [self.processes[name] for name in names]
        for process in chosen:
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        for process in chosen:
            if process.now is not None:
                with suppress(subprocess.TimeoutExpired):
                    process.now.wait(STOP_GRACE_S)
                process.pull_the_plug()

    def close(self) -> None:
        """End everything at once."""
        for process in self.processes.values():
            process.pull_the_plug()
