"""Settings → the TOML text that `load` reads back to the same settings."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from thinwire.common.settings.kinds import Section

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def to_toml(settings: Section) -> str:
    """Every section and every key, with its present value."""
    lines: list[str] = []
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        lines += [f"[{field.name}]", *_assignments(value), ""]
    return "\n".join(lines)


def toml_value(value: Any) -> str:
    """One value on one line."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(name)} = {toml_value(item)}" for name, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for DEL, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _assignments(section: Section | dict[str, Any]) -> Iterator[str]:
    table = section if isinstance(section, dict) else msgspec.structs.asdict(section)
    for name, value in table.items():
        yield f"{_key(name)} = {toml_value(value)}"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else toml_value(name)
