"""A child process at the other end of a socket pair: how agent and coordinator keep torch out of their own process.

The child is started by `vfork` + `exec` and never by `fork`: gRPC's threads do not survive a fork. It is gone when its
end of the socket is closed, and it ends by itself when ours is.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

READ_BYTES = 256 * 1024
STOP_GRACE_S = 3.0


class Child:
    """One running child; `module` gets the number of its socket as its only argument."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self.pid = process.pid

    @classmethod
    async def start(cls, module: str, *, python: str = "", threads: int = 1) -> Child:
        """Start `python -m module FD`; raise OSError when the interpreter cannot be run."""
        ours, theirs = socket.socketpair()
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MALLOC_ARENA_MAX="2")
        with theirs:
            process = subprocess.Popen(  # noqa: ASYNC220  # returns at exec, within milliseconds
                [python or sys.executable, "-m", module, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=READ_BYTES)
        return cls(process, reader, writer)

    def write(self, data: bytes) -> None:
        """Send bytes; what a dead child does not take is lost, and `read` says so by ending."""
        if not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the child has taken most of what was written."""
        with suppress(OSError):
            await self._writer.drain()

    async def read(self) -> AsyncIterator[bytes]:
        """Bytes from the child until it is gone."""
        try:
            while data := await self._reader.read(READ_BYTES):
                yield data
        except OSError:
            return

    async def ended(self) -> int:
        """Wait for the process and give its exit code; negative for a signal."""
        return await asyncio.to_thread(self._process.wait)

    async def close(self) -> None:
        """End the child: kindly, then firmly."""
        self._writer.close()
        try:
            await asyncio.wait_for(self.ended(), STOP_GRACE_S)
        except TimeoutError:
            self._process.kill()
            await self.ended()

    def kill(self) -> None:
        """End the child at once."""
        self._process.kill()


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    signals = {
        -9: "SIGKILL, perhaps for memory",
        -11: "SIGSEGV",
        -4: "SIGILL: this torch is not built for this processor",
    }
    return f"killed by {signals.get(code, f'signal {-code}')}"
