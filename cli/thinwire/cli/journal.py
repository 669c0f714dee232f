"""`thinwire journal`: what a coordinator has written down - is it sound, what does it say, what does it add up to.

All of it only reads, and may be asked while the coordinator runs.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thinwire.cli import tables
from thinwire.cli.failure import CommandError
from thinwire.common.exits import Exit
from thinwire.common.places import state_folder
from thinwire.common.units import about

if TYPE_CHECKING:
    from thinwire.common.view import View
    from thinwire.server.audit import Findings
    from thinwire.server.entries import AnyEntry
    from thinwire.server.journal import Journal
    from thinwire.server.replay import Replay

KINDS = ("led", "greeted", "joined", "opened", "admitted", "rejected", "committed", "evaluated", "finished")
FOLLOW_EVERY_S = 1.0
_LINE = "{:>8}  {:<9}  {:<16}  {:>5}  {:>7}  {:>7}  {:>10}  {}"

folder = click.argument(
    "dir", required=False, metavar="[DIR]", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


@click.group()
def journal() -> None:
    """Check, show or replay what a coordinator has written down.

    DIR is a coordinator's state.dir, or the folder of one run in it; without it, where a coordinator keeps its state
    when nobody says otherwise. Nothing is changed, and the coordinator may be running.

    \b
    Examples:
      thinwire journal verify
      thinwire journal show --device pi4-kitchen --from 1200
    """


@journal.command()
@folder
@as_json_option
def verify(dir: Path | None, as_json: bool) -> int:
    """Check every record, checkpoint and delta, and that each has one outcome.

    \b
    Example:
      thinwire journal verify /var/lib/thinwire/coordinator
    """
    from thinwire.server.audit import verify

    run = run_of(dir)
    with _viewed(run) as view:
        found = verify(view)
    if as_json:
        click.echo(json.dumps(_findings_json(run, found)))
    else:
        tables.show(_findings_table(run, found))
    for problem in found.problems:
        click.echo(f"{click.style('damaged:', fg='red')} {problem}", err=True)
    if found.problems:
        click.echo(f"keep a copy of {run}, then restore it from a backup: see docs/durability.md", err=True)
    return Exit.OK if found.sound else Exit.DISK


@journal.command()
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


@journal.command()
@folder
@click.option("--from-checkpoint", "start", type=click.IntRange(0), metavar="N", help="Not from the oldest one.")
@click.option("--to", "version", type=click.IntRange(0), metavar="VERSION", help="Not to the end.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the model there (safetensors).")
@as_json_option
def replay(dir: Path | None, start: int | None, version: int | None, out: Path | None, as_json: bool) -> None:
    """Make the model anew from a checkpoint and every entry after it.

    Each version must have the checksum that it was published with; the last is what `thinwire status --json` says.

    \b
    Examples:
      thinwire journal replay
      thinwire journal replay --to 120 --out model-120.safetensors
    """
    from thinwire.server.replay import Replay

    began = time.perf_counter()
    with _opened(run_of(dir)) as opened:
        replay = Replay(opened, start)
        _check_start(replay, version)
        entries = _print_steps(replay, version, as_json)
    _check_reached(replay, version)
    if out is not None:
        _write_model(replay, out)
    if not as_json:
        model = replay.state.model
        click.echo(
            f"version {model.version} with checksum {model.checksum:016x}: {entries} entries in"
            f" {time.perf_counter() - began:.2f} s, {replay.compared} checkpoints are the same"
        )


def run_of(dir: Path | None) -> Path:
    """The folder of the run that is meant; raise CommandError when there is none."""
    from thinwire.server.home import newest_run

    home = dir or state_folder("", "coordinator")
    assert home is not None
    run = newest_run(home.resolve())
    if run is None:
        raise CommandError(f"{home} holds no training: is it the state.dir of a coordinator?", Exit.SETTINGS)
    return run


@contextmanager
def _viewed(run: Path) -> "Iterator[View]":
    from thinwire.common.view import View

    with View(run) as view:
        yield view


@contextmanager
def _opened(run: Path) -> "Iterator[Journal]":
    from thinwire.server.journal import Journal

    with _viewed(run) as view:
        yield Journal(view)


def _entries(run: Path, first: int, last: int | None) -> "Iterator[tuple[int, AnyEntry, int]]":
    with _opened(run) as opened:
        if first > opened.last:
            return
        for number, entry, body in opened.read(max(first, opened.first)):
            if last is not None and number > last:
                return
            yield number, entry, len(body)


# -- verify ----------------------------------------------------------------------------------------------------


def _findings_table(run: Path, found: "Findings") -> tables.Table:
    unfinished = (
        f"{found.unfinished_bytes} bytes of a record that is being written, or was torn; nobody was told of it"
        if found.unfinished_bytes
        else "a whole record"
    )
    rows = [
        ("run", run.name),
        ("lineage", found.lineage),
        ("task", found.task),
        ("entries", f"{found.first} to {found.last}, in {found.segments} files"),
        ("size", about(found.bytes)),
        ("checkpoints", str(found.checkpoints)),
        ("devices", str(found.devices)),
        ("deltas", f"{found.accepted} accepted ({about(found.accepted_bytes)}), {found.rejected} rejected"),
        ("commits", f"{found.commits}, to version {found.version}"),
        ("open buffer", f"{found.in_buffer} deltas"),
        ("ends with", unfinished),
        ("result", "sound" if found.sound else f"{len(found.problems)} problems"),
    ]
    return tables.Table((), rows)


def _findings_json(run: Path, found: "Findings") -> dict[str, Any]:
    from dataclasses import asdict

    return {"schema": "thinwire.journal.verify/v1", "run": str(run), "sound": found.sound, **asdict(found)}


# -- show ------------------------------------------------------------------------------------------------------


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


# -- replay ----------------------------------------------------------------------------------------------------


def _print_steps(replay: "Replay", version: int | None, as_json: bool) -> int:
    first = replay.number
    form = "{:>8}  {:>16}  {:>8}  {:>8}"
    if not as_json:
        click.echo(form.format("version", "checksum", "entries", "seconds"))
    for step in replay.steps(version):
        hexadecimal = f"{step.checksum:016x}"
        if as_json:
            told = {"version": step.version, "checksum": hexadecimal, "number": step.number}
            click.echo(json.dumps({**told, "entries": step.entries, "seconds": round(step.seconds, 6)}))
        else:
            click.echo(form.format(step.version, hexadecimal, step.entries, f"{step.seconds:.3f}"))
    return replay.number - first


def _check_start(replay: "Replay", version: int | None) -> None:
    if version is not None and version < replay.state.model.version:
        raise CommandError(
            f"version {version} is older than the checkpoint, which is of version {replay.state.model.version}",
            Exit.SETTINGS,
        )


def _check_reached(replay: "Replay", version: int | None) -> None:
    if version is not None and version != replay.state.model.version:
        raise CommandError(
            f"there is no version {version}: the last is {replay.state.model.version}", Exit.SETTINGS
        )


def _write_model(replay: "Replay", out: Path) -> None:
    from thinwire.common.snapshot import to_safetensors

    model = replay.state.model
    try:
        out.write_bytes(to_safetensors(model.freeze(), model.layout, model.buffer_layout))
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error.strerror}", Exit.DISK) from None
