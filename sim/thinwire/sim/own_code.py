"""Code that is not ours: what a task of [tasks] is made of, and whose fault it is when it fails."""

from __future__ import annotations

import hashlib
import sys
import traceback
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from thinwire.common.errors import TaskError, ThinwireError
from thinwire.common.settings import CoordinatorSettings
from thinwire.tasks.registry import task_class

# Checksums of modules as this process has loaded them: it does so once, whatever becomes of their files meanwhile.
_LOADED: dict[str, str] = {}


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


def loaded_code_of(settings: CoordinatorSettings) -> str:
    """The checksum of that module as this process runs it, which it loads unless it has; "" as above.

    Raise TaskError when the file has changed since: what is run would be the old code.
    """
    path = settings.tasks.get(settings.task.id, "")
    before, module = code_of(settings), path.partition(":")[0]
    if before and module not in _LOADED:
        try:
            with Blame(path, module, "its module"):
                task_class(path)
        finally:
            # Also when it has no such class; but one that failed is loaded anew next time.
            if module in sys.modules:
                _LOADED[module] = before
    loaded = _LOADED.get(module, "")
    # Read again, for it may have changed while it was loaded.
    if loaded != code_of(settings):
        raise TaskError(
            f"task {path!r}: the file of its module has changed since it was loaded, and the old code would be run;"
            " run it again, it goes on from what is done with the new one"
        )
    return loaded


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
