"""Which histories are seeds of one another, and what each such group is called where methods share a name.

Runs belong together when nothing but the seed differs. Pooling any others would call a change of settings, of libraries
or of a task's code noise.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count

from thinwire.common.errors import SettingsError
from thinwire.common.history import DECIDING, Header, History
from thinwire.common.settings.read import parse

# Sections that decide nothing of what is learned; folders and ports differ from one real run to the next.
_INDIFFERENT = ("listen", "tls", "logs", "state")
_MOST_IN_LABEL = 3
_CODE_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs that differ in their seed alone; `differs` is what tells them from other runs of a method of this name."""

    label: str
    histories: tuple[History, ...]
    differs: Mapping[str, str] = field(default_factory=dict)


def grouped(histories: Iterable[History]) -> list[Runs]:
    """The groups in order of appearance, each with a seed once and without copies; every label is there once."""
    groups: dict[tuple[tuple[str, str], ...], list[History]] = {}
    for history in histories:
        _place(history, groups)
    parts = [sorted(part, key=lambda history: history.header.seed) for part in groups.values()]
    return _labelled(parts, [dict(facts) for facts in groups])


def _place(history: History, groups: dict[tuple[tuple[str, str], ...], list[History]]) -> None:
    """To its like; what has the facts and the seed of another, but not its rows, is a repeat and no further seed."""
    for repeat in count(1):
        group = groups.setdefault((*_facts(history.header).items(), ("repeat", str(repeat))), [])
        twin = next((other for other in group if other.header.seed == history.header.seed), None)
        if twin is None:
            group.append(history)
        if twin is None or twin.rows == history.rows:
            return


def _labelled(parts: Sequence[Sequence[History]], facts: Sequence[Mapping[str, str]]) -> list[Runs]:
    runs: list[Runs] = []
    for part, own in zip(parts, facts, strict=True):
        namesakes = [other for other in facts if other["method"] == own["method"]]
        differs = {key: own.get(key, "-") for key in _differing(namesakes)}
        label, number = _label(own, differs, namesakes), 1
        while any(label == other.label for other in runs):
            number += 1
            label = f"{_label(own, differs, namesakes)} #{number}"
        runs.append(Runs(label, tuple(part), differs))
    return runs


def _label(own: Mapping[str, str], differs: Mapping[str, str], namesakes: Sequence[Mapping[str, str]]) -> str:
    name = f"{own['scenario']}/{own['method']}" if "scenario" in differs else own["method"]
    if len({other["scenario"] for other in namesakes}) == len(namesakes):
        return name
    told = [f"{key}={value}" for key, value in differs.items() if key != "scenario"]
    if len(told) > _MOST_IN_LABEL:
        told = [*told[:_MOST_IN_LABEL], "…"]
    return f"{name} ({', '.join(told)})"


def _differing(namesakes: Sequence[Mapping[str, str]]) -> list[str]:
    keys = dict.fromkeys(key for facts in namesakes for key in facts)
    return [key for key in keys if len({facts.get(key) for facts in namesakes}) > 1]


def _facts(header: Header) -> dict[str, str]:
    """All that decides what is learned, but for the seed."""
    facts = {"method": header.method, "scenario": header.scenario, "source": header.source, "task": header.task}
    facts |= {name: header.versions[name] for name in DECIDING if name in header.versions}
    if header.code:
        facts["code"] = header.code[:_CODE_DIGITS]
    return facts | _settings(header.settings) | _fleet(header.fleet)


@lru_cache(maxsize=1000)
def _settings(text: str) -> dict[str, str]:
    try:
        table = parse(text)
    except SettingsError:
        return {"settings": text}
    flat = dict(_flat({name: section for name, section in table.items() if name not in _INDIFFERENT}))
    # The run's own seed stands in its place.
    flat.pop("task.seed", None)
    return flat


@lru_cache(maxsize=1000)
def _fleet(text: str) -> dict[str, str]:
    try:
        parts = json.loads(text)
        times, groups = parts[0], {group["name"]: group for group in parts[1:]}
    except (ValueError, LookupError, TypeError):
        return {"fleet": text}
    return dict(_flat({"simulation": times, "fleet": groups}))


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
