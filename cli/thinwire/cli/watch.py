"""Show an answer once, or again and again."""

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from thinwire.cli import tables
from thinwire.cli.options import duration

if TYPE_CHECKING:
    from google.protobuf.message import Message

_CLEAR = "\x1b[H\x1b[2J"


def views(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command --json and --watch."""
    command = click.option("--json", is_flag=True, help="Print JSON, one object a line.")(command)
    return click.option(
        "--watch", type=duration, is_flag=False, flag_value="2s", metavar="[EVERY]",
        help="Ask again, every 2s or as often as said.",
    )(command)  # fmt: skip


def present(
    ask: Callable[[], "Message"],
    table: Callable[[Any], tables.Table],
    schema: str,
    json: bool,
    watch: float | None,
) -> None:
    """Ask and print; with `watch`, until interrupted."""
    while True:
        answer = ask()
        if json:
            click.echo(as_json(answer, schema))
        else:
            if watch and sys.stdout.isatty():
                click.echo(_CLEAR, nl=False)
            tables.show(table(answer))
        if not watch:
            return
        time.sleep(watch)


def as_json(message: "Message", schema: str) -> str:
    """A message as one JSON object with all its fields; checksums are hexadecimal, as no double can hold them."""
    return json.dumps({"schema": schema, **_plain(message)})


def _plain(message: "Message") -> dict[str, Any]:
    return {field.name: _plain_field(message, field) for field in message.DESCRIPTOR.fields}


def _plain_field(message: "Message", field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type and field.message_type.GetOptions().map_entry:
        return dict(value)
    if field.message_type:
        # Whether a field is repeated is asked differently in every protobuf; its value tells.
        return _plain(value) if hasattr(value, "DESCRIPTOR") else [_plain(item) for item in value]
    return f"{value:016x}" if field.name == "checksum" else value
