"""Work for several processes, each replaced by a fresh one now and then.

What a run has allocated and freed lies about in the memory of its process, so none may grow old. The pool of the
standard library hangs on Python 3.11 when its processes reach their `max_tasks_per_child` (python/cpython#115634).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

from thinwire.common.errors import ThinwireError
from thinwire.common.exits import Exit

T = TypeVar("T")
R = TypeVar("R")

RUNS_A_PROCESS = 8
# Spawned, never forked: torch's threads do not survive a fork.
_CONTEXT = multiprocessing.get_context("spawn")


class WorkerError(ThinwireError):
    """What another process was asked for failed there, or it ended in the middle of it."""

    def __init__(self, message: str, code: Exit = Exit.TRAINING) -> None:
        super().__init__(message)
        self.code = code


def spread(
    call: Callable[[T], R], items: Sequence[T], jobs: int, runs_a_process: int = RUNS_A_PROCESS,
    begun: Callable[[int], None] = lambda place: None, instead: Callable[[int, ThinwireError], R] | None = None,
) -> Iterator[tuple[int, R]]:  # fmt: skip
    """The place of an item and what `call` gives for it, as each is done; `begun` hears of each that is begun.

    What `call` raises is a WorkerError here, of the same words and exit code, and ends it all; but where there is
    `instead`, it says what stands for the result of an item that failed or whose process died. `call` is a function of
    a module, and items and results can be pickled.
    """
    waiting = deque(enumerate(items))

    def begin(worker: Worker[T, R]) -> None:
        worker.begin(*waiting.popleft())
        begun(worker.place)

    busy = {worker.pipe: worker for worker in (Worker(call, runs_a_process) for _ in range(min(jobs, len(items))))}
    try:
        for worker in busy.values():
            begin(worker)
        while busy:
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                place, result = worker.place, _result(worker, instead)
                del busy[worker.pipe]
                if waiting:
                    worker = worker.fresh()
                    busy[worker.pipe] = worker
                    begin(worker)
                else:
                    worker.end()
                yield place, result
    finally:
        for worker in busy.values():
            worker.end()


def _result(worker: Worker[T, R], instead: Callable[[int, ThinwireError], R] | None) -> R:
    try:
        return worker.result()
    except ThinwireError as error:
        if instead is None:
            raise
        return instead(worker.place, error)


class Worker(Generic[T, R]):
    """One process, which does one thing at a time."""

    def __init__(self, call: Callable[[T], R], runs: int) -> None:
        self.place = -1
        self._call, self._runs, self._begun = call, runs, 0
        self.pipe, there = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(call, there), daemon=True)
        self._process.start()
        there.close()

    def begin(self, place: int, item: T) -> None:
        """Work on it."""
        self.place, self._begun = place, self._begun + 1
        with suppress(BrokenPipeError):  # `result` says what happened
            self.pipe.send(item)

    def result(self) -> R:
        """What came of it; the pipe has it."""
        try:
            answer: Answer[R] = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode
            why = " for too little memory, perhaps: try fewer --jobs" if code == -signal.SIGKILL else ""
            raise WorkerError(
                f"a process that ran a simulation ended with {code}{why}; run it again, it goes on from what is done"
            ) from None
        return answer.result()

    def fresh(self) -> Worker[T, R]:
        """This worker, or its successor if it has done enough or is dead."""
        if self._begun < self._runs and self._process.is_alive():
            return self
        self.end()
        return Worker(self._call, self._runs)

    def end(self) -> None:
        """Whatever it does, it does no more."""
        self.pipe.close()
        self._process.terminate()
        self._process.join()


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """What came of work elsewhere: a result, or words, an exit code, and the traceback of what nobody meant."""

    value: R | None = None
    failure: tuple[str, Exit] | None = None
    trace: str = ""

    def result(self) -> R:
        """The result; else raise WorkerError, and show the traceback."""
        if self.failure is None:
            return self.value  # type: ignore[return-value]
        sys.stderr.write(self.trace)
        raise WorkerError(*self.failure)


def answer_of(call: Callable[[T], R], item: T) -> Answer[R]:
    """What `call` gives or raises; errors themselves may not survive the way to another process."""
    try:
        return Answer(call(item))
    except ThinwireError as error:
        return Answer(failure=(str(error), error.code))
    except (Exception, SystemExit) as error:  # whatever it is, the one who asked must know
        return Answer(failure=(f"{type(error).__name__}: {error}", Exit.TRAINING), trace=traceback.format_exc())


def _serve(call: Callable[[T], R], pipe: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            pipe.send(answer_of(call, pipe.recv()))


def _end_with_parent() -> None:
    # A run may take hours, and nobody is left to keep what comes of it.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
