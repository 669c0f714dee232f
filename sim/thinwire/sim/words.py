"""What a history's header says of settings and fleet, as a person would write it in a scenario file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import msgspec

from thinwire.common.history import Header
from thinwire.common.settings.kinds import Section
from thinwire.common.settings.values import form_of
from thinwire.common.settings.write import toml_value
from thinwire.sim.settings import Group, Simulation

# The seed in [task], which a simulation replaces by the run's own.
_SEED = re.compile(r"(^\[task\]\n(?:[^\[\n].*\n)*?)seed = .*\n?", re.MULTILINE)


def settings_in_words(header: Header) -> str:
    """The settings that decided a run; a simulated one without the seed of the file, which did not."""
    return header.settings if header.source == "real" else _SEED.sub(r"\1", header.settings)


def fleet_in_words(header: Header) -> str:
    """A simulated fleet as the tables of its file, without what is as usual; anything else as it is written."""
    try:
        times, *groups = json.loads(header.fleet)
        blocks = ["\n".join(["[simulation]", *_lines(times, Simulation)])]
        return "\n\n".join(blocks + ["\n".join(["[[fleet]]", *_lines(group, Group)]) for group in groups])
    except (ValueError, AttributeError, TypeError):
        return header.fleet


def _lines(table: Mapping[str, Any], kind: type[Section]) -> Iterator[str]:
    hints = get_type_hints(kind, include_extras=True)
    usual = {field.name: field.default for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key not in usual or value != usual[key]:
            yield f"{key} = {toml_value(value, form_of(hints[key]) if key in hints else None)}"
