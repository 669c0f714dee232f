"""Settings → the TOML text that `load` reads back to the same settings."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import msgspec

from thinwire.common.settings.kinds import Form, Section
from thinwire.common.settings.values import form_of
from thinwire.common.units import format_duration, format_size, parse_duration

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def to_toml(settings: Section) -> str:
    """Every section and every key, with its present value."""
    blocks: list[str] = []
    for name, hint in get_type_hints(type(settings), include_extras=True).items():
        section = getattr(settings, name)
        hints = {} if isinstance(section, dict) else get_type_hints(hint, include_extras=True)
        blocks.append("\n".join([f"[{name}]", *_assignments(section, hints), ""]))
    return "\n".join(blocks)


def toml_value(value: Any, form: Form | None = None) -> str:
    """One value on one line, in the form that people write it in."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(name)} = {toml_value(item)}" for name, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    if form is Form.SIZE:
        return toml_value(format_size(value))
    if form is Form.DURATION and parse_duration(format_duration(value)) == value:
        return toml_value(format_duration(value))
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for DEL, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _assignments(section: Section | dict[str, Any], hints: Mapping[str, Any]) -> Iterator[str]:
    table = section if isinstance(section, dict) else msgspec.structs.asdict(section)
    for name, value in table.items():
        yield f"{_key(name)} = {toml_value(value, form_of(hints.get(name)))}"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else toml_value(name)
