"""`thinwire link`: thin links on loopback, until told to stop."""

from typing import TYPE_CHECKING

import click

from thinwire.cli import options

if TYPE_CHECKING:
    from thinwire.common.address import Address
    from thinwire.common.link import LinkProfile


@click.command()
@click.option(
    "--listen", type=options.address, default="127.0.0.1:0", show_default=True, metavar="HOST:PORT",
    help="Where devices dial; each further link takes the next port, or any free one for port 0.",
)  # fmt: skip
@click.option("--to", type=options.address, required=True, metavar="HOST:PORT", help="Where the coordinator is.")
@click.option(
    "--profile", type=options.link_profile, required=True, metavar="RTT,RATE", help='For example "200ms,2mbit".'
)
@click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True, help="Links to open.")
def link(listen: "Address", to: "Address", profile: "LinkProfile | None", count: int) -> int:
    """Emulate thin links on loopback.

    Prints a JSON line with the port of each link, and when it is told to stop a line with the bytes of each.

    \b
    Example, a satellite in front of a coordinator on this machine:
      thinwire link --to 127.0.0.1:8470 --profile 600ms,512kbit
    """
    from thinwire.demo.serve_links import run

    return run(listen, to, profile, count)
