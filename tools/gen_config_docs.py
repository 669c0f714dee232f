"""Write docs/configuration.md from the settings' own structs, or check that it is current.

    python tools/gen_config_docs.py [--check]

A key's type and default come from the struct, its meaning from the comment above it in the source.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from thinwire.common.settings import AgentSettings, CoordinatorSettings
from thinwire.common.settings.kinds import Section
from thinwire.common.settings.values import allowed, form_of
from thinwire.common.settings.write import toml_value
from thinwire.sim.settings import Group, Simulation

TARGET = Path(__file__).parents[1] / "docs" / "configuration.md"
HEAD = """\
<!-- Written by tools/gen_config_docs.py; change the structs in common/thinwire/common/settings instead, and those of
sim/thinwire/sim/settings.py. -->
# Configuration

Coordinator and agent read one TOML file each. Every key has a default, but for a device's name; a key that does not
exist, or a value that cannot be, ends the start with exit code 3 and one line for each problem.

    thinwire config show coordinator > coordinator.toml    # every key, with its default
    thinwire config check coordinator.toml
    thinwire coordinator --config coordinator.toml --set density.up=0.1

`--set section.key=value` is read after the file. Durations are written `"30s"`, `"500ms"` or as a number of
seconds; sizes `"64KiB"`, `"32MiB"` or as a number of bytes.
"""
SCENARIO = """\
## Scenario

The file of `thinwire simulate` has these two, and of the coordinator's sections all but `[listen]`, `[tls]`, `[logs]`
and `[state]`; [simulation.md](simulation.md) has an example.
"""


def main() -> int:
    """Write the file, or with --check say whether it is as it would be written."""
    text = document()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    print(f"{TARGET.name} is stale; run: python tools/gen_config_docs.py", file=sys.stderr)
    return 1


def document() -> str:
    """The whole file."""
    parts = [HEAD]
    for title, role in (("Coordinator", CoordinatorSettings), ("Agent", AgentSettings)):
        parts.append(f"## {title}\n")
        parts.extend(section(f"[{name}]", hint, role, name) for name, hint in hints_of(role).items())
    parts += [SCENARIO, section("[simulation]", Simulation), section("[[fleet]]", Group)]
    return "\n".join(parts)


def section(title: str, hint: Any, role: type[Section] = Section, name: str = "") -> str:
    """One section as a table; a free one, such as [tasks], as a sentence."""
    if not (isinstance(hint, type) and issubclass(hint, Section)):
        return f"### {title}\n\n{comments(role)[name]} Each value is {allowed(get_args(hint)[1])}.\n"
    says = comments(hint)
    defaults = {field.name: field for field in msgspec.structs.fields(hint)}
    rows = [
        f"| `{key}` | {default(defaults[key], kind)} | {cell(allowed(kind))} | {cell(says[key])} |"
        for key, kind in hints_of(hint).items()
    ]
    head = ["| key | default | value | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([f"### {title}\n", inspect.cleandoc(hint.__doc__ or ""), "", *head, *rows, ""])


def default(field: msgspec.structs.FieldInfo, kind: Any) -> str:
    """The default as it would stand in the file."""
    if field.required:
        return "none: it must be set"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return f"`{toml_value(value, form_of(kind))}`"


def comments(kind: type[Section]) -> dict[str, str]:
    """The comment above each key."""
    source = textwrap.dedent(inspect.getsource(kind))
    lines = source.splitlines()
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    keys = (node for node in body.body if isinstance(node, ast.AnnAssign))
    return {ast.unparse(node.target): " ".join(above(lines, node.lineno - 1)) for node in keys}


def above(lines: list[str], index: int) -> Iterator[str]:
    """The comment lines that end just above a line, in reading order."""
    first = index
    while lines[first - 1].strip().startswith("#"):
        first -= 1
    return (line.strip().removeprefix("#").strip() for line in lines[first:index])


def hints_of(kind: type[Section]) -> dict[str, Any]:
    """The keys with their types, in the order of the source."""
    return get_type_hints(kind, include_extras=True)


def cell(text: str) -> str:
    """Text that cannot end a table's cell."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
