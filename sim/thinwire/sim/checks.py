"""What a scenario cannot say, told before anything runs: with what was meant, and what to do instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from thinwire.common.errors import SettingsError
from thinwire.common.settings import CoordinatorSettings
from thinwire.common.settings.names import nearest, shown
from thinwire.tasks import BUILTIN

# Sections of a coordinator's file that mean nothing here, and keys of sections that do.
_NO_SECTIONS = ("listen", "tls", "logs", "state")
_NO_KEYS = {"limits": ("max_devices",), "evaluation": ("python",)}
BOWL = "quadratic"


def refuse_overrides(table: Mapping[str, Any], overrides: Sequence[str], origin: str) -> None:
    """Refuse a --set that would make a method, or that would change groups; the file does both."""
    methods = table.get("methods")
    known = list(methods) if isinstance(methods, dict) and methods else ["all"]
    problems = []
    for override in overrides:
        section, *names = override.partition("=")[0].strip().split(".")
        if section == "fleet":
            problems.append(
                f'{origin}: "{override[:80]}" cannot be set here, for there may be several [[fleet]]; --devices makes'
                " the whole fleet smaller or larger, and the file has each group"
            )
        elif section == "methods" and len(names) > 1 and names[0] not in known:
            problems.append(f"{origin}: methods.{names[0]} is no method of this file; {_meant(names[0], known)}")
    if problems:
        raise SettingsError(*problems)


def refuse_unknown(table: Mapping[str, Any], known: Sequence[str], origin: str, prefix: str = "") -> None:
    """Refuse sections that are none, and sections and keys of a real coordinator that change nothing here."""
    problems = []
    for key, section in table.items():
        if key in _NO_SECTIONS:
            problems.append(f"{prefix}{key} is no section of a scenario: none of it is simulated; leave it out")
        elif key not in known:
            problems.append(f"{prefix}{key} is no section of a scenario; {_meant(key, known, prefix)}")
        for name in _NO_KEYS.get(key, ()):
            if isinstance(section, dict) and name in section:
                problems.append(f"{prefix}{key}.{name} is not simulated, so it would change nothing; leave it out")
    if problems:
        raise SettingsError(*problems).located(origin)


def refuse_names(names: Iterable[str], form: re.Pattern[str], origin: str) -> None:
    """Refuse names of methods that are no names of folders."""
    problems = tuple(
        f"{origin}: methods.{shown(name)} is no name for a method, as results are kept in a folder of that name;"
        " use letters, digits, dots, - and _, and no dot in front"
        for name in names
        if not form.fullmatch(name)
    )
    if problems:
        raise SettingsError(*problems)


def refuse_impossible(
    shared: CoordinatorSettings, methods: Mapping[str, CoordinatorSettings], devices: int, origin: str
) -> None:
    """Refuse methods that could not begin: more devices than there are, or a task that there is not."""
    problems = [
        f"{origin}: {problem}"
        for name, settings in methods.items()
        for problem in _impossible(shared, settings, f"methods.{name}.", devices)
    ]
    if problems:
        raise SettingsError(*dict.fromkeys(problems))


def _impossible(shared: CoordinatorSettings, settings: CoordinatorSettings, prefix: str, devices: int) -> Iterator[str]:
    needed, task = settings.aggregation.min_devices, settings.task.id
    if needed > devices:
        where = "" if needed == shared.aggregation.min_devices else prefix
        there = "is 1 device" if devices == 1 else f"are {devices} devices"
        yield (
            f"{where}aggregation.min_devices is {needed}, but in [[fleet]] there {there}, so training would never"
            f" start; set it to at most {devices}"
        )
    known = [BOWL, *BUILTIN, *settings.tasks]
    if task not in known:
        where = "" if task == shared.task.id else prefix
        adds = '[tasks] adds more as id = "module:Class"'
        yield f"{where}task.id is {shown(task)}, which is no task; {_meant(task, known)}; {adds}"


def _meant(word: str, known: Sequence[str], prefix: str = "") -> str:
    meant = nearest(word, known)
    return f"did you mean {prefix}{meant}?" if meant else f"known are {', '.join(known)}"
