"""`thinwire rollback`: a training back to an earlier version, as a new lineage."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from thinwire.cli.failure import CommandError
from thinwire.cli.journal.run import folder, run_of
from thinwire.common.exits import Exit

if TYPE_CHECKING:
    from thinwire.server.rollback import Undone


@click.command()
@folder
@click.option("--to", "version", type=click.IntRange(0), required=True, metavar="VERSION", help="Which version.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rollback(dir: Path | None, version: int, yes: bool) -> None:
    """Take a training back to an earlier version, as a new lineage.

    The coordinator must not run. DIR is its state.dir, or the folder of one run in it. Nothing is deleted: a new run
    begins beside the old one, and the next start goes on from it. Devices come by themselves; what they have not been
    told of is abandoned and counted.

    \b
    Examples:
      thinwire rollback --to 120
      thinwire rollback /var/lib/thinwire/coordinator --to 120 --yes
    """
    from thinwire.server.home import Home
    from thinwire.server.rollback import look_back, roll_back

    run = run_of(dir)
    home = Home(run.parent)
    try:
        state, undone = look_back(run, version)
        click.echo(_words(undone), err=True)
        if undone.damage:
            click.echo(f"{click.style('damaged:', fg='red')} {undone.damage}; what follows is not counted", err=True)
        if not yes:
            _ask()
        began = roll_back(home, state, undone)
    finally:
        home.close()
    click.echo(began)
    click.echo(f"a coordinator that is started now goes on from version {version}", err=True)


def _words(undone: "Undone") -> str:
    return (
        f"from version {undone.newest} back to {undone.version} of {undone.source.name}:"
        f" {undone.commits} commits and {undone.deltas} accepted deltas are undone"
    )


def _ask() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is here to ask; say --yes")
    if not click.confirm("go on?", err=True):
        raise CommandError("nothing was changed", Exit.INTERRUPT)
