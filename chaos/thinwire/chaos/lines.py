"""The process that has the fleet's lines, seen from the one that started it."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self

import msgspec

from thinwire.chaos.network import Carried, Order, Place, Plan
from thinwire.common.errors import TaskError


class Lines:
    """Where each device is, and orders to cut its line; `with` ends the process."""

    def __init__(self, plan: Plan) -> None:
        command = [sys.executable, "-m", "thinwire.chaos.network", msgspec.json.encode(plan).decode()]
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._counts: dict[str, int] = {}
        try:
            self.places = [msgspec.json.decode(self._line(), type=Place) for _ in range(plan.devices)]
        except msgspec.DecodeError:
            self._process.kill()
            raise TaskError("the fleet's lines could not be laid; the reason is above") from None

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def cut(self, device: int, cut: bool) -> None:
        """Let nothing through a device's line, or let it go."""
        self._order(Order(device=device, cut=cut))

    def carried(self, device: int) -> Carried:
        """Bytes that a device's line has delivered so far."""
        self._order(Order(device=device))
        return msgspec.json.decode(self._line(), type=Carried)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> dict[str, int]:
        """Take the lines down, if they are up; give what became of packets."""
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            self._process.stdin.close()
            line = self._line()
            self._counts = msgspec.json.decode(line, type=dict[str, int]) if line else {}
            self._process.wait()
        return self._counts

    def _order(self, order: Order) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()
