"""`thinwire journal show`."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thinwire.cli.journal.run import as_json_option, folder, opened, run_of

if TYPE_CHECKING:
    from thinwire.server.entries import AnyEntry

KINDS = ("led", "greeted", "joined", "opened", "admitted", "rejected", "committed", "evaluated", "finished")
FOLLOW_EVERY_S = 1.0
_LINE = "{:>8}  {:<9}  {:<16}  {:>5}  {:>7}  {:>7}  {:>10}  {}"


@click.command()
@folder
@click.option("--from", "first", type=click.IntRange(1), metavar="N", help="First entry.")
@click.option("--to", "last", type=click.IntRange(1), metavar="N", help="Last entry.")
@click.option("--device", metavar="NAME", help="Only entries about this device.")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Only entries of this kind.")
@click.option("--follow", is_flag=True, help="Go on with what is written from now on, until interrupted.")
@as_json_option
def show(
    dir: Path | None,
    first: int | None,
    last: int | None,
    device: str | None,
    kinds: tuple[str, ...],
    follow: bool,
    as_json: bool,
) -> None:
    """List entries.

    \b
    Examples:
      thinwire journal show --kind rejected --json | jq .message
      thinwire journal show --follow
    """
    run = run_of(dir)
    if not as_json:
        click.echo(_LINE.format("number", "kind", "device", "epoch", "seq", "version", "bytes", "").rstrip())
    after = (first or 1) - 1
    while True:
        for number, entry, body_bytes in _entries(run, after + 1, last):
            after = number
            kind = type(entry).__name__.lower()
            if (not kinds or kind in kinds) and device in (None, getattr(entry, "device", None)):
                click.echo(_as_json(number, entry, body_bytes) if as_json else _as_line(number, entry, body_bytes))
        if not follow or (last is not None and after >= last):
            return
        time.sleep(FOLLOW_EVERY_S)


def _entries(run: Path, first: int, last: int | None) -> "Iterator[tuple[int, AnyEntry, int]]":
    with opened(run) as read:
        if first > read.last:
            return
        for number, entry, body in read.read(max(first, read.first)):
            if last is not None and number > last:
                return
            yield number, entry, len(body)


def _as_line(number: int, entry: "AnyEntry", body_bytes: int) -> str:
    told = {name: getattr(entry, name, "") for name in ("device", "epoch", "seq", "version")}
    kind = type(entry).__name__.lower()
    return _LINE.format(number, kind, *told.values(), body_bytes or "", _detail(kind, entry)).rstrip()


def _detail(kind: str, entry: Any) -> str:
    details: dict[str, Callable[[], str]] = {
        "led": lambda: f"leader epoch {entry.leader_epoch}, software {entry.software}",
        "greeted": lambda: entry.lost,
        "joined": lambda: f"{entry.examples} examples",
        "admitted": lambda: f"made on {entry.base}, weight {entry.weight:.4g}, clip {entry.clip:.4g}",
        "rejected": lambda: f"{entry.message}{', refunded' if entry.refund else ''}",
        "committed": lambda: f"{entry.folded} deltas, checksum {entry.checksum:016x}",
        "evaluated": lambda: ", ".join(f"{name} {value:.4f}" for name, value in sorted(entry.metrics.items())),
        "finished": lambda: entry.reason,
    }
    # A device's words come to a terminal: no control characters.
    return "".join(c if c.isprintable() else "?" for c in details.get(kind, str)())


def _as_json(number: int, entry: "AnyEntry", body_bytes: int) -> str:
    from msgspec.structs import asdict

    fields = asdict(entry)
    for name, value in fields.items():
        if name == "checksum":
            fields[name] = f"{value:016x}"
        elif isinstance(value, bytes):
            fields[name] = value.hex()
    return json.dumps({"number": number, "kind": type(entry).__name__.lower(), **fields, "bytes": body_bytes})
