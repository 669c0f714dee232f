"""`thinwire chaos`: faults on purpose, and whether anything was lost or counted twice."""

import click


@click.group()
def chaos() -> None:
    """Break a fleet on purpose, and check that nothing is lost and nothing counted twice.

    \b
    Example:
      thinwire chaos soak --minutes 1
    """
