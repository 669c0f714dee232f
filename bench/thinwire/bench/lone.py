"""A coordinator in a process of its own, for a random model and without torch; it can be measured, and killed.

With `state.dir` it keeps a journal there; without, it keeps nothing.

    python -m thinwire.bench.lone ROWSxCOLUMNS [KEY=VALUE]...

says on its standard output which port it took, and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import uvloop

from thinwire.bench.loopback import model_of, serving, settings_of
from thinwire.common import logs
from thinwire.server.home import Home

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Lone:
    """The process, seen from the one that started it; killed when the block ends."""

    process: subprocess.Popen[bytes]
    port: int

    @classmethod
    def start(cls, shape: str, *sets: str, module: str = "thinwire.bench.lone") -> Self:
        """Start it, and wait until it takes calls."""
        command = [sys.executable, "-m", module, shape, *sets]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert process.stdout is not None
        return cls(process, int(process.stdout.readline()))

    @property
    def address(self) -> str:
        """What devices dial."""
        return f"127.0.0.1:{self.port}"

    @property
    def cpu_s(self) -> float:
        """Processor time that it has used, seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()


def memory_bytes(pid: int, line: str = "VmRSS") -> int:
    """Resident memory of a process: `VmRSS` is now, `VmHWM` the most it ever was."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    [kib] = re.findall(rf"^{line}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kib) * 1024


async def serve(shape: str, *sets: str) -> None:
    """Serve until it is killed, and say on standard output at which port."""
    model = model_of(*(int(length) for length in shape.split("x")))
    settings = settings_of(*sets)
    logs.setup(settings.logs.level, sys.stderr)
    home = Home(Path(settings.state.dir)) if settings.state.dir else None
    async with serving(model, settings, home) as served:
        print(served.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:]))
