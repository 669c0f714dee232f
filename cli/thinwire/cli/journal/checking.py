"""`thinwire journal verify`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thinwire.cli import tables
from thinwire.cli.journal.run import as_json_option, folder, run_of, viewed
from thinwire.common.exits import Exit
from thinwire.common.units import about

if TYPE_CHECKING:
    from thinwire.server.audit import Findings


@click.command()
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
    with viewed(run) as view:
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
