"""`thinwire config`: what the settings are, and whether a file is right."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from thinwire.cli import options

if TYPE_CHECKING:
    from thinwire.common.settings import AgentSettings, CoordinatorSettings

ROLE = click.Choice(["coordinator", "agent"])


@click.group()
def config() -> None:
    """Show settings, or check a settings file.

    Every key is described in docs/configuration.md.
    """


@config.command()
@click.argument("role", type=ROLE)
@options.config
def show(role: str, path: Path | None, sets: tuple[str, ...]) -> None:
    """Show all settings of ROLE as TOML: those of the file, else the defaults.

    \b
    Examples:
      thinwire config show coordinator > coordinator.toml
      thinwire config show agent --config agent.toml --set device.name=pi4
    """
    from thinwire.common.settings import to_toml

    if role == "agent" and path is None and not any(override.startswith("device.name=") for override in sets):
        sets = (*sets, "device.name=my-device")
    click.echo(to_toml(options.settings(_kind(role), path, sets)), nl=False)


@config.command()
@click.argument("path", type=options.FILE, metavar="FILE")
@click.option(
    "--role", type=click.Choice(["coordinator", "agent", "scenario"]),
    help="Whose settings they are; by default what the file looks like.",
)
def check(path: Path, role: str | None) -> None:
    """Check a settings file; name everything that is wrong with it.

    \b
    Example:
      thinwire config check /etc/thinwire/agent.toml
    """
    from thinwire.common.settings import load

    role = role or _looks_like(path)
    if role == "scenario":
        from thinwire.sim.settings import load_scenario

        scenario = load_scenario(path)
        methods = ", ".join(scenario.methods)
        click.echo(f"{path}: right for a simulation of {scenario.devices} devices with the methods {methods}")
        return
    load(path, _kind(role))
    click.echo(f"{path}: right for {'an agent' if role == 'agent' else 'a coordinator'}")


def _kind(role: str) -> "type[AgentSettings] | type[CoordinatorSettings]":
    from thinwire.common.settings import AgentSettings, CoordinatorSettings

    return AgentSettings if role == "agent" else CoordinatorSettings


def _looks_like(path: Path) -> str:
    """A scenario's file has a fleet, an agent's names its device; a coordinator's never has either."""
    from thinwire.common.settings.read import read_text

    lines = {line.partition("#")[0].strip() for line in read_text(path).splitlines()}
    if lines & {"[[fleet]]", "[simulation]"}:
        return "scenario"
    return "agent" if "[device]" in lines else "coordinator"
