"""Runs as tasks of Ray, on the machines of a cluster or on this one: the extra `ray`.

RAY_ADDRESS names the cluster. Without it a Ray of this machine is started for the command, and ended with it. A task
is handed a cell and gives back a history; it reads and writes no file of the one who asks. Whatever else decides the
rows, the versions of thinwire and of the libraries that compute and the code of a task of [tasks], must be on its node
already, and the same: it is compared, never sent.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from thinwire.common.errors import LinkError, SettingsError, TaskError, ThinwireError
from thinwire.common.history import DECIDING, History, versions
from thinwire.sim.cell import Cell, run_cell
from thinwire.sim.engine import Begun, Result, Seen
from thinwire.sim.own_code import code_of
from thinwire.sim.workers import RUNS_A_PROCESS, Answer, WorkerError, answer_of

ADDRESS = "RAY_ADDRESS"
# What Ray would otherwise say or send by itself; what a user has set stays.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
# A Ray of our own holds nothing but histories that are about to be fetched; by default it takes a third of the memory.
STORE = 128 << 20
# Ray itself waits for minutes for an address at which nobody is.
ANSWER_S = 10.0

Asked = tuple[Cell, Mapping[str, str], str]


class RayEngine:
    """So many tasks at a time: by default as many as a cluster has processors, one on this machine."""

    def __init__(self, jobs: int | None = None) -> None:
        """Raise SettingsError where Ray is not installed."""
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError as error:
            raise SettingsError(f"this needs Ray ({error}); install it: pip install 'thinwire[ray]'") from error
        self._ray, self._jobs = ray, jobs

    def run(self, cells: Sequence[Cell], begun: Begun, seen: Seen) -> Iterator[Result]:
        """See Engine."""
        if not cells:
            return
        with self._connected() as jobs:
            # A run that killed its process, for want of memory, say, would do so again; and see RUNS_A_PROCESS.
            task = self._ray.remote(num_cpus=1, max_retries=0, max_calls=RUNS_A_PROCESS)(answer_there)
            waiting, running = deque(cells), dict[Any, Cell]()
            while waiting or running:
                while waiting and len(running) < jobs:
                    cell = waiting.popleft()
                    running[task.remote((cell, versions(), code_of(cell.settings)))] = cell
                    begun(cell)
                (done,), _ = self._ray.wait(list(running))
                yield running.pop(done), self._result(done)

    @contextmanager
    def _connected(self) -> Iterator[int]:
        """How many tasks may run at a time; when it ends, whatever still runs does so, too."""
        # Ray tells of a process that died on standard output, which is for results; of the last ones as it ends.
        with redirect_stdout(sys.stderr):
            jobs = self._connect()
            try:
                yield jobs
            finally:
                self._ray.shutdown()

    def _connect(self) -> int:
        address = os.environ.get(ADDRESS)
        shown: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        try:
            if address is None:
                jobs = self._jobs or 1
                # What this process can import, such as a task of [tasks], those of Ray can, too.
                path = {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}}
                self._ray.init(
                    address="local", num_cpus=jobs, include_dashboard=False, object_store_memory=STORE,
                    runtime_env=path, **shown,
                )  # fmt: skip
            else:
                _knock(address)
                self._ray.init(address=address, **shown)
                jobs = self._jobs or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        except (OSError, RuntimeError, ValueError) as error:
            hint = f"; {ADDRESS} names it, and one with a token wants RAY_AUTH_MODE=token" if address else ""
            raise LinkError(f"cannot use Ray {f'at {address}' if address else 'here'}: {error}{hint}") from error
        return jobs

    def _result(self, done: Any) -> History | ThinwireError:
        try:
            answer: Answer[History] = self._ray.get(done)
            return answer.result()
        except ThinwireError as error:
            return error
        except self._ray.exceptions.RayError as error:
            # What was raised there ends with its words, after the traceback; all else begins with them.
            raised = isinstance(error, self._ray.exceptions.RayTaskError)
            words = str(error).strip().splitlines()[-1 if raised else 0].rstrip(".")
            return WorkerError(f"Ray could not finish it: {words}; run it again, it goes on from what is done")


def _knock(address: str) -> None:
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), ANSWER_S).close()


def answer_there(asked: Asked) -> Answer[History]:
    """What comes of a cell, in a process of Ray's."""
    return answer_of(_run_there, asked)


def _run_there(asked: Asked) -> History:
    cell, wanted, code = asked
    found, node = versions(), platform.node()
    for name in DECIDING:
        if found.get(name) != wanted.get(name):
            raise SettingsError(
                f"node {node} has {name} {found.get(name, 'not at all')}, the command {wanted.get(name, 'not at all')},"
                " and rows of the one are not those of the other; have the same on all nodes"
            )
    if code_of(cell.settings) != code:
        raise TaskError(
            f"task {cell.settings.tasks[cell.settings.task.id]!r}: node {node} does not have the file of its module, or"
            " another one than the command; no code is sent, so install it on all nodes"
        )
    return run_cell(cell)
