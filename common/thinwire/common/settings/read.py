"""TOML → frozen settings; every problem of a file at once, each with its key, its value and what is allowed.

The structure is walked here rather than by msgspec.convert, which stops at the first problem and does not
know that "trainning" was meant to be "training". What passes here, the structs' own checks then see.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from thinwire.common.errors import SettingsError
from thinwire.common.settings.kinds import Section
from thinwire.common.settings.names import nearest, shown
from thinwire.common.settings.values import allowed, read_value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_S = TypeVar("_S", bound=Section)
# Settings are a page of text; a file of this size is something else.
_MAX_FILE_BYTES = 1 << 20


def load(path: Path, kind: type[_S], overrides: Sequence[str] = ()) -> _S:
    """Read `path` as settings of `kind`, then set each "section.key=value" of `overrides`."""
    return loads(read_text(path), kind, overrides, origin=str(path))


def read_text(path: Path) -> str:
    """The text of a settings file; raise SettingsError when it cannot be one."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > _MAX_FILE_BYTES:
        raise SettingsError(f"{path}: is longer than {_MAX_FILE_BYTES} bytes, so it is no settings file")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text, so it is no settings file") from error


def loads(text: str, kind: type[_S], overrides: Sequence[str] = (), origin: str = "settings") -> _S:
    """Read TOML text as settings of `kind`; `origin` is what problems call it."""
    return read_table(parse(text, overrides, origin), kind, origin)


def parse(text: str, overrides: Sequence[str] = (), origin: str = "settings") -> dict[str, Any]:
    """The tables of TOML text, with each "section.key=value" of `overrides` set."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{origin}: is not TOML: {error}") from error
    problems: list[str] = []
    for override in overrides:
        _override(table, override, problems)
    if problems:
        raise SettingsError(*problems).located(origin)
    return table


def read_table(table: Mapping[str, Any], kind: type[_S], origin: str, prefix: str = "") -> _S:
    """Read tables as settings of `kind`; keys are called `prefix` + their name in problems."""
    problems: list[str] = []
    settings = _read_section(kind.prepared(table), kind, prefix, problems)
    if settings is None or problems:
        raise SettingsError(*problems).located(origin)
    return settings


def _override(table: dict[str, Any], override: str, problems: list[str]) -> None:
    """Set one "section.key=value"; the value is TOML, or else a bare word."""
    key, equals, text = override.partition("=")
    *sections, name = key.strip().split(".")
    if not (equals and sections and name):
        problems.append(f'"{override[:80]}" sets nothing; write section.key=value: density.up=0.1')
        return
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            problems.append(f'"{override[:80]}" sets a key of "{section}", which is no section')
            return
    try:
        table[name] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[name] = text


def _read_section(table: Mapping[str, Any], kind: type[_S], prefix: str, problems: list[str]) -> _S | None:
    """Build one section, or add what is wrong with it to `problems`."""
    before = len(problems)
    hints = get_type_hints(kind, include_extras=True)
    problems.extend(_unknown(key, list(hints), prefix) for key in table if key not in hints)
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        key = f"{prefix}{field.name}"
        if field.name in table:
            values[field.name] = _read(table[field.name], hints[field.name], key, problems)
        elif field.required:
            problems.extend(_missing(hints[field.name], key))
    return _build(kind, values, problems) if len(problems) == before else None


def _read(value: Any, hint: Any, key: str, problems: list[str]) -> Any:
    if get_origin(hint) is tuple:
        return _read_list(value, get_args(hint)[0], key, problems)
    if not _is_section(hint):
        return read_value(value, hint, key, problems)
    if isinstance(value, dict):
        return _read_section(value, hint, f"{key}.", problems)
    problems.append(f"{key} is {shown(value)}; it must be a section, [{key}]")
    return None


def _read_list(value: Any, item_hint: Any, key: str, problems: list[str]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        what = f"one or more sections [[{key}]]" if _is_section(item_hint) else f"a list of {allowed(item_hint)}"
        problems.append(f"{key} is {shown(value)}; it must be {what}")
        return ()
    return tuple(_read(item, item_hint, f"{key}[{place}]", problems) for place, item in enumerate(value))


def _is_section(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Section)


def _build(kind: type[_S], values: Mapping[str, Any], problems: list[str]) -> _S | None:
    try:
        return kind(**values)
    except SettingsError as error:
        problems.extend(error.problems)
        return None


def _unknown(key: str, known: Sequence[str], prefix: str) -> str:
    what = "key" if prefix else "section"
    meant = nearest(key, known)
    hint = f"did you mean {prefix}{meant}?" if meant else f"known are {', '.join(known)}"
    return f"{prefix}{key} is no {what}; {hint}"


def _missing(hint: Any, key: str) -> list[str]:
    """What to say of a key that has no default and is not there."""
    if _is_section(hint):
        required = [field.name for field in msgspec.structs.fields(hint) if field.required]
        return [f"{key}.{name} is missing; it has no default" for name in required]
    return [f"{key} is missing; it has no default"]
