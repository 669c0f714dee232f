"""Code that is not ours: what a task of [tasks] is made of, and whose fault it is when it fails."""

from __future__ import annotations

import hashlib
import traceback
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from thinwire.common.errors import TaskError, ThinwireError
from thinwire.common.settings import CoordinatorSettings


def code_of(settings: CoordinatorSettings) -> str:
    """A checksum of the module of a task of [tasks]; "" for a task that comes along, whose version says enough.

    What the module imports is not in it.
    """
    path = settings.tasks.get(settings.task.id)
    if path is None:
        return ""
    spec = _spec(path.partition(":")[0])
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return ""
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


class Blame:
    """Whatever is raised within on no purpose becomes a TaskError that names the task, what it did, and where."""

    def __init__(self, task: str, module: str, doing: str) -> None:
        self._task, self._module, self._doing = task, module, doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, ThinwireError):
            place = f"{self._doing}{self._place(trace)}"
            raise TaskError(f"task {self._task!r} failed in {place}: {_words(error)}") from error

    def _place(self, trace: TracebackType | None) -> str:
        spec = _spec(self._module)
        frames = traceback.extract_tb(trace)
        own = [frame for frame in frames if spec is not None and frame.filename == spec.origin]
        frame = (own or frames)[-1]
        return f" at {Path(frame.filename).name}:{frame.lineno}"


def _words(error: Exception) -> str:
    if isinstance(error, StopIteration):
        return "its batches came to an end; they must go on for ever"
    return f"{type(error).__name__}: {error}"


def _spec(module: str) -> ModuleSpec | None:
    try:
        return find_spec(module)
    except (ImportError, ValueError):
        return None
