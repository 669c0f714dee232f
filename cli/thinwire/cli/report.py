"""`thinwire report`: a page about runs."""

from pathlib import Path

import click

from thinwire.cli.failure import CommandError
from thinwire.common.exits import Exit


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="RUN…")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default="report.html", show_default=True,
    help="The page.",
)  # fmt: skip
def report(runs: tuple[Path, ...], out: Path) -> None:
    """Write one page of HTML about runs: a history, or a folder with histories of `simulate` or of `demo --keep`.

    Several are compared. The page holds everything it shows, with settings and versions; it needs no network.

    \b
    Examples:
      thinwire report simulated/watch
      thinwire demo --keep run && thinwire report run --out run.html
    """
    from thinwire.sim.report import find, page

    try:
        out.write_text(page(find(runs)), encoding="utf-8")
    except OSError as error:
        message = f"{out}: cannot be written: {error.strerror}; --out names another file"
        raise CommandError(message, Exit.DISK) from error
    click.echo(out)
