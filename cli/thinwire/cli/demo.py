"""`thinwire demo`: a coordinator and a fleet on this machine, over links as thin as wanted."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from thinwire.cli import options

if TYPE_CHECKING:
    from thinwire.common.link import LinkProfile

_SHARE = click.FloatRange(0, 1, min_open=True)


@click.command()
@click.option("--devices", type=click.IntRange(1, 64), default=10, show_default=True, help="Agents to start.")
@click.option(
    "--link", type=options.link_profile, default="200ms,2mbit", show_default=True, metavar="RTT,RATE",
    help='Round trip and rate of each device\'s link; "none" is loopback as it is.',
)  # fmt: skip
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Folder to keep settings, logs and model in."
)
@click.option("--json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--target", type=_SHARE, help="Accuracy to stop at.")
@click.option("--density", type=_SHARE, help="Share of the parameters in a delta.")
@click.option("--omega", type=click.FloatRange(0, 1), help="Weight of a device's own pending deltas.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of everything random.")
@click.option("--timeout", type=options.duration, default="10min", show_default=True, help="Give up after this long.")
@click.option("sets", "--set", metavar="KEY=VALUE", multiple=True, help="Set one key of the coordinator's settings.")
def demo(
    devices: int,
    link: "LinkProfile | None",
    keep: Path | None,
    json: bool,
    target: float | None,
    density: float | None,
    omega: float | None,
    seed: int,
    timeout: float,
    sets: tuple[str, ...],
) -> int:
    """Train on a fleet of emulated devices over thin links, all on this machine.

    \b
    Examples:
      thinwire demo
      thinwire demo --devices 5 --link 600ms,256kbit --density 0.01
    """
    from thinwire.demo.options import DemoOptions
    from thinwire.demo.run import run

    return run(
        DemoOptions(
            devices=devices, link=link, keep=keep, json=json, target=target, density=density, omega=omega,
            seed=seed, timeout_s=timeout, set=sets,
        )
    )  # fmt: skip
