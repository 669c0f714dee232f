"""`thinwire chaos`: faults on purpose, and whether anything was lost or counted twice."""

from pathlib import Path

import click

from thinwire.cli import options, tables


@click.group()
def chaos() -> None:
    """Break a fleet on purpose, and check that nothing is lost and nothing counted twice.

    \b
    Example:
      thinwire chaos soak --minutes 1
    """


@chaos.command()
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="How long.")
@click.option("--devices", type=click.IntRange(1, 64), default=4, show_default=True, help="Agents to start.")
@click.option(
    "--network", type=click.Choice(["namespaces", "loopback"]), default="namespaces", show_default=True,
    help="Namespaces need root; loopback delays and cuts, but loses no packets.",
)  # fmt: skip
@click.option(
    "--lines", default="mixed", show_default=True, metavar="NAMES",
    help='Lines that the devices take in turn, such as "lte,bursts"; "mixed" is all there are.',
)  # fmt: skip
@click.option("--mtbf", type=options.duration, default="2s", show_default=True, help="Mean time between faults.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of everything random.")
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Folder to keep settings, logs and state in."
)
@click.option("--json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the report there, in Markdown.")
def soak(
    minutes: float,
    devices: int,
    network: str,
    lines: str,
    mtbf: float,
    seed: int,
    keep: Path | None,
    json: bool,
    out: Path | None,
) -> int:
    """Kill, stop and cut off a real fleet, and check that nothing is lost and nothing counted twice.

    \b
    Examples:
      thinwire chaos soak --minutes 10
      thinwire chaos soak --network loopback --devices 2 --mtbf 5s
    """
    from thinwire.chaos.options import SoakOptions
    from thinwire.chaos.soak import run
    from thinwire.chaos.wire import lines_of

    try:
        lines_of(lines)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--lines") from None
    return run(
        SoakOptions(
            minutes=minutes, devices=devices, network=network, lines=lines, mtbf_s=mtbf, seed=seed, keep=keep,
            json=json, out=out,
        )
    )  # fmt: skip


@chaos.command()
@click.option(
    "--flower", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True,
    help="Folder of a virtual environment that has flwr; thinwire itself never needs it.",
)  # fmt: skip
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), default=Path("peers"), show_default=True,
    help="Folder for logs, and for rows that are done; those are not played again.",
)  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the table there, in Markdown.")
@click.option("--system", "systems", type=click.Choice(["thinwire", "flower"]), multiple=True, help="Only this one.")
@click.option(
    "--fault", "faults", type=click.Choice(["client kill -9", "server kill -9", "30 s cut"]), multiple=True,
    help="Only this one.",
)  # fmt: skip
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="Runs of each fault.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the lines.")
def peers(
    flower: Path, keep: Path, out: Path | None, systems: tuple[str, ...], faults: tuple[str, ...], repeat: int,
    seed: int,
) -> None:  # fmt: skip
    """Do the same to thinwire and to Flower, and count what is lost.

    \b
    Example:
      python3 -m venv flower && flower/bin/pip install flwr
      thinwire chaos peers --flower flower --out docs/results/faults.md
    """
    from thinwire.chaos.peers.run import run
    from thinwire.chaos.peers.setup import PeersOptions
    from thinwire.chaos.peers.table import HEAD, cells

    rows = run(
        PeersOptions(flower=flower, keep=keep, out=out, systems=systems, faults=faults, repeat=repeat, seed=seed)
    )
    tables.show(tables.Table(HEAD, cells(rows)))


@chaos.command()
@click.option(
    "--rounds", type=click.IntRange(1), default=6, show_default=True, help="Turns that each of the two takes."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def goodput(rounds: int, as_json: bool) -> None:
    """Accepted deltas against raw TCP on a line that loses 5 % of its packets.

    \b
    Example:
      thinwire chaos goodput --rounds 2
    """
    from thinwire.bench.rows import show
    from thinwire.chaos.goodput import run

    show(run(rounds), as_json)


@chaos.command()
@click.option("--seeds", type=click.IntRange(1), help="How many seeds to try: 300, or the one that --seed names.")
@click.option("--seed", type=click.IntRange(0), help="The seed to try; with --seeds the first.  [default: 0]")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes to share the work.")
@click.option("--trace", is_flag=True, help="Try one seed, and tell every fault and death as it comes.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def simulate(seeds: int | None, seed: int | None, jobs: int, trace: bool, as_json: bool) -> int:
    """Fleets in virtual time that die at every named point, their disks and links with them.

    Coordinator, agents and trainers are the product's own; each seed is one history, which is the same whenever it is
    tried again. After the trouble comes calm, in which everything must settle. A seed that fails is one line, which
    ends with the command that tries it again.

    \b
    Examples:
      thinwire chaos simulate --seeds 50000 --jobs 2
      thinwire chaos simulate --seed 4711 --trace
    """
    import json

    from thinwire.common.exits import Exit
    from thinwire.sim import seeds as trials
    from thinwire.sim.points import POINTS

    if trace:
        tally = trials.Tally()
        tally.add(trials.trace(seed or 0))
    else:
        tally = trials.sweep(seed or 0, seeds or (300 if seed is None else 1), jobs)
    if as_json:
        click.echo(json.dumps(tally.to_json()))
    else:
        rows = [
            ("seeds", tally.seeds), ("steps", tally.steps), ("versions", tally.versions), ("deltas", tally.accepted),
            *((f"killed at {point}", tally.kills[point]) for point in sorted(POINTS, key=lambda p: tally.kills[p])),
            *((f"fault: {what}", count) for what, count in sorted(tally.faults.items())),
            ("violations", len(tally.failed)),
        ]  # fmt: skip
        tables.show(tables.Table(["what", "count"], [[what, str(count)] for what, count in rows]))
        if tally.never_hit:
            click.echo(f"never killed at: {', '.join(tally.never_hit)}")
    for failed, what in tally.failed:
        click.echo(trials.failure_line(failed, what), err=True)
    return Exit.TRAINING if tally.failed else Exit.OK
