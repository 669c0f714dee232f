"""How a task is found: by a short built-in id, or by the "module:Class" path of code that is installed here.

Nothing is downloaded or evaluated. A plan that names a task which is not installed is an error that says so.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable, Mapping
from types import ModuleType

from thinwire.common.errors import TaskError
from thinwire.tasks.task import Task

BUILTIN: dict[str, str] = {
    "watch": "thinwire.tasks.watch:WatchActivity",
    "omniglot": "thinwire.tasks.omniglot:Omniglot",
    "fashion-mnist": "thinwire.tasks.images:FashionMNIST",
    "mnist": "thinwire.tasks.images:MNIST",
    "cifar10": "thinwire.tasks.images:CIFAR10",
}


def task_path(id: str, own: Mapping[str, str]) -> str:
    """The "module:Class" path of a task id, from the operator's own table or the built-in one.

    Ids come over the network; paths never do, and an id that is in neither table is refused.
    """
    known = {**BUILTIN, **own}
    if id not in known:
        raise TaskError(
            f"no task {id!r:.80} is installed here{_nearest(id, known)}; known are {', '.join(known)}, "
            'and [tasks] adds more as id = "module:Class"'
        )
    return known[id]


def load_task(path: str, params: Mapping[str, object] | None = None) -> Task:
    """Make the task behind a built-in id or a "module:Class" path; raise TaskError with what to change."""
    found = task_class(BUILTIN.get(path, path))
    _check_params(found, path, params or {})
    try:
        return found(**(params or {}))
    except (TypeError, ValueError) as error:
        raise TaskError(f"task {path!r} refuses its parameters {dict(params or {})}: {error}") from error


def task_class(path: str) -> type[Task]:
    """Import the class that "module:Class" names, and make sure it is a whole Task."""
    module_name, colon, class_name = path.partition(":")
    if not colon or not module_name or not class_name:
        raise TaskError(
            f"no task {path!r}{_nearest(path, BUILTIN)}; built in are {', '.join(BUILTIN)}, "
            'and a task of your own is named "module:Class"'
        )
    module = _import(module_name, path)
    found = getattr(module, class_name, None)
    if found is None:
        nearest = _nearest(class_name, _tasks_in(module))
        raise TaskError(f"module {module_name!r} has no {class_name!r}{nearest}")
    return _whole_task(found, path)


def _import(module_name: str, path: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A missing dependency of the task's module has another cure than a missing module.
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise TaskError(
                f"task {path!r}: no module {module_name!r} is installed here; install it, "
                "or put its folder on PYTHONPATH"
            ) from error
        raise TaskError(
            f"task {path!r}: its module needs {error.name!r}, which is not installed here "
            "(torch and numpy come with `pip install 'thinwire[train]'`)"
        ) from error


def _whole_task(found: object, path: str) -> type[Task]:
    if not inspect.isclass(found) or not issubclass(found, Task):
        raise TaskError(f"{path!r} is no task: it must be a subclass of thinwire.tasks.Task")
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise TaskError(f"task {path!r} is not whole: it lacks {', '.join(missing)}")
    return found


def _check_params(found: type[Task], path: str, params: Mapping[str, object]) -> None:
    signature = inspect.signature(found)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()):
        return
    unknown = [name for name in params if name not in signature.parameters]
    if unknown:
        allowed = ", ".join(signature.parameters) or "none"
        raise TaskError(
            f"task {path!r} has no parameter {unknown[0]!r}"
            f"{_nearest(unknown[0], signature.parameters)}; it takes {allowed}"
        )


def _tasks_in(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if inspect.isclass(value) and issubclass(value, Task)]


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
