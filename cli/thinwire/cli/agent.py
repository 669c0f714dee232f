"""`thinwire agent`: run the agent on a device until it is told to stop."""

from pathlib import Path

import click

from thinwire.cli import options


@click.command()
@options.config
@click.option("--name", help="Short for --set device.name=…")
@click.option("--coordinator", metavar="HOST:PORT", help="Short for --set coordinator.address=…")
def agent(path: Path | None, sets: tuple[str, ...], name: str | None, coordinator: str | None) -> int:
    """Run the agent on a device.

    \b
    Examples:
      thinwire agent --name pi4-shed
      thinwire agent --config /etc/thinwire/agent.toml
    """
    from thinwire.client.run import run
    from thinwire.common.settings import AgentSettings

    short = options.chosen(device__name=name, coordinator__address=coordinator)
    return run(options.settings(AgentSettings, path, (*sets, *short)))
