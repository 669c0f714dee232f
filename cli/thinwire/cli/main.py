"""The command itself: which commands there are, and what an error becomes.

Every command is a module of its own that is imported when it is asked for, and imports what is heavy (grpc, numpy,
torch) only when it runs: `--help` stays instant on a small board. stdout is data, stderr is talk.
"""

import importlib
import os
import sys
from typing import Any

import click

from thinwire.common.errors import ThinwireError
from thinwire.common.exits import MEANING, Exit

# Name → what it is for, in the order of `thinwire --help`; the module and its function have the command's name.
_COMMANDS = {
    "demo": "Train on a fleet of emulated devices over thin links, all on this machine.",
    "simulate": "Run a scenario in virtual time: thousands of devices, methods side by side.",
    "report": "Write a page about runs, simulated or real.",
    "coordinator": "Run the coordinator: it holds the model and folds what devices learn.",
    "agent": "Run the agent on a device: it trains, and keeps the link.",
    "status": "Show how far the training is.",
    "devices": "Show which devices take part, and how they do.",
    "journal": "Check, show or replay what a coordinator has written down.",
    "rollback": "Take a training back to an earlier version, as a new lineage.",
    "config": "Show settings, or check a settings file.",
    "partition": "Share a data set out to devices, and report how unlike they are.",
    "data": "Prepare and look at data sets.",
    "link": "Emulate thin links on loopback.",
    "bench": "Measure the parts that must be fast.",
    "chaos": "Break a fleet on purpose, and check what became of it.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names; nothing is imported for it."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(f"thinwire.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their summaries, which are kept here so that none needs to be imported."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes, for whoever writes a script."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), MEANING[code]) for code in Exit])

    def invoke(self, ctx: click.Context) -> Any:
        """Run one; it returns the exit code, and what it raises on purpose is told without a traceback."""
        try:
            ctx.exit(super().invoke(ctx) or Exit.OK)
        except ThinwireError as error:
            for line in str(error).splitlines():
                click.echo(f"{click.style('error:', fg='red')} {line}", err=True)
            ctx.exit(error.code)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(Exit.INTERRUPT)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="thinwire", message="thinwire %(version)s")
def main() -> None:
    """Train one model on many small devices over thin, slow, breaking links.

    \b
    Try it, all on this machine:
      thinwire demo
    """
    # gRPC's own library writes its news to standard error; it looks here once, when it is first imported.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if sys.version_info < (3, 11):
        raise click.UsageError(
            "thinwire's coordinator and agent need Python 3.11 or newer; only the trainer runs on 3.10"
            " (set trainer.python)"
        )
