"""Which run is meant, and its files, for all of `thinwire journal`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from thinwire.cli.failure import CommandError
from thinwire.common.exits import Exit
from thinwire.common.places import state_folder

if TYPE_CHECKING:
    from thinwire.common.view import View
    from thinwire.server.journal import Journal

folder = click.argument(
    "dir", required=False, metavar="[DIR]", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


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
def viewed(run: Path) -> "Iterator[View]":
    """The files of a run, as they are now."""
    from thinwire.common.view import View

    with View(run) as view:
        yield view


@contextmanager
def opened(run: Path) -> "Iterator[Journal]":
    """The journal of a run, to be read."""
    from thinwire.server.journal import Journal

    with viewed(run) as view:
        yield Journal(view)
