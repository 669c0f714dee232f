"""`thinwire coordinator`: run the coordinator until the training is finished or it is told to stop."""

from pathlib import Path

import click

from thinwire.cli import options


@click.command()
@options.config
@click.option("--listen", metavar="HOST:PORT", help="Short for --set listen.address=…")
@click.option("--fresh", is_flag=True, help="Begin a new training, though state.dir holds one; that one is kept.")
@click.option("--task", metavar="ID", help="Short for --set task.id=…")
def coordinator(path: Path | None, sets: tuple[str, ...], listen: str | None, fresh: bool, task: str | None) -> int:
    """Run the coordinator.

    Without a settings file it listens on this machine only and trains the built-in task "watch". What it does is in a
    journal below state.dir: started again after any end, it goes on where it was.

    \b
    Examples:
      thinwire coordinator
      thinwire coordinator --config coordinator.toml --set density.up=0.1
    """
    from thinwire.common.settings import CoordinatorSettings
    from thinwire.server.run import run

    short = options.chosen(listen__address=listen, task__id=task)
    return run(options.settings(CoordinatorSettings, path, (*sets, *short)), fresh=fresh)
