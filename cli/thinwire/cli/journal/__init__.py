"""`thinwire journal`: what a coordinator has written down - is it sound, what does it say, what does it add up to.

All of it only reads, and may be asked while the coordinator runs.
"""

import click

from thinwire.cli.journal.checking import verify
from thinwire.cli.journal.listing import show
from thinwire.cli.journal.replaying import replay


@click.group()
def journal() -> None:
    """Check, show or replay what a coordinator has written down.

    DIR is a coordinator's state.dir, or the folder of one run in it; without it, where a coordinator keeps its state
    when nobody says otherwise. Nothing is changed, and the coordinator may be running.

    \b
    Examples:
      thinwire journal verify
      thinwire journal show --device pi4-kitchen --from 1200
    """


journal.add_command(verify)
journal.add_command(show)
journal.add_command(replay)
