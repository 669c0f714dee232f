"""The demo's processes: a coordinator, a proxy with one link a device, and the agents; each a `thinwire` command.

Every process writes a log of its own into the run's folder. If one ends that should not, the run fails with the last
lines of that log.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from thinwire.common.errors import TaskError
from thinwire.common.link import LinkProfile
from thinwire.common.settings import AgentSettings, CoordinatorSettings, to_toml

STOP_GRACE_S = 5.0
LOG_LINES_SHOWN = 8


@dataclass(slots=True)
class Fleet:
    """Everything that runs, by name; `stop` ends it in the order of its start, agents last."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def coordinator(self, settings: CoordinatorSettings) -> None:
        """Start the coordinator."""
        self._start("coordinator", ["coordinator", "-c", self._write("coordinator", to_toml(settings))])

    def links(self, to: str, profile: LinkProfile, count: int) -> list[int]:
        """Start the proxy; give the port of each device's link."""
        arguments = ["link", "--to", to, "--profile", str(profile), "--count", str(count)]
        process = self._start("link", arguments, stdout=subprocess.PIPE)
        assert process.stdout is not None
        ports = []
        for _ in range(count):
            line = process.stdout.readline()
            if not line:
                raise TaskError(f"the link emulator did not start; {self._last_words('link')}")
            ports.append(int(json.loads(line)["port"]))
        return ports

    def agent(self, settings: AgentSettings) -> None:
        """Start one agent, which starts its trainer."""
        name = settings.device.name
        self._start(name, ["agent", "-c", self._write(name, to_toml(settings))])

    def check(self) -> None:
        """Raise TaskError if anything has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise TaskError(f"{name} ended with exit code {process.returncode}; {self._last_words(name)}")

    def stop(self) -> None:
        """End everything: the agents first, so that they say goodbye to a coordinator that is there."""
        for process in reversed(self.processes.values()):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self.processes.clear()

    def _start(self, name: str, arguments: list[str], stdout: int | None = None) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "thinwire.cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout if stdout is not None else file,
                stderr=file,
                # Ctrl-C is for the demo alone, which then ends the others one by one.
                start_new_session=True,
                # Journals and outboxes belong to this run, not to whoever runs the demo.
                env={**os.environ, "XDG_STATE_HOME": str(self.folder / "state"), "STATE_DIRECTORY": ""},
                preexec_fn=_end_with_parent,
            )
        self.processes[name] = process
        return process

    def _write(self, name: str, text: str) -> str:
        path = self.folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def _last_words(self, name: str) -> str:
        log = self.folder / f"{name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return f"the end of {log}:\n" + "\n".join(f"  {line}" for line in lines)


_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Have the kernel end this process when the demo is gone, even by SIGKILL; a stray fleet would train for ever."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port(wanted: int = 0) -> int:
    """A port on loopback that nobody has: the wanted one if it is free."""
    for port in (wanted, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as listener:
            return int(listener.getsockname()[1])
    raise TaskError("no free port on 127.0.0.1")
