"""`thinwire partition`: how a data set is shared out, and how unlike the devices then are."""

import json
from typing import TYPE_CHECKING

import click

from thinwire.cli import tables
from thinwire.cli.failure import CommandError
from thinwire.common.exits import Exit

if TYPE_CHECKING:
    from thinwire.tasks.heterogeneity import Heterogeneity
    from thinwire.tasks.sharing import Labels

# Longer fleets are told by their summary; --json has every device.
MOST_ROWS = 50


@click.command()
@click.argument("task")
@click.option(
    "--scheme", type=click.Choice(["iid", "dirichlet", "classes", "quantity", "natural"]), default="dirichlet",
    show_default=True, help="How the examples are shared out.",
)  # fmt: skip
@click.option("--devices", type=click.IntRange(1, 1_000_000), default=10, show_default=True, help="Devices.")
@click.option("--alpha", type=float, default=0.5, show_default=True, help="Concentration; for dirichlet and quantity.")
@click.option("--per-device", type=click.IntRange(1), default=2, show_default=True, help="Classes; for classes.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draw.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every device.")
def partition(
    task: str, scheme: str, devices: int, alpha: float, per_device: int, seed: int, as_json: bool
) -> None:
    """Share out the training examples of TASK, and report what each device gets.

    The same cut is had by a task's parameters: partition, alpha, per_device and partition_seed.

    \b
    Examples:
      thinwire partition watch --scheme natural
      thinwire partition cifar10 --scheme dirichlet --alpha 0.1 --devices 20
      thinwire partition mnist --scheme classes --per-device 2 --json
    """
    try:
        from thinwire.tasks.heterogeneity import heterogeneity
        from thinwire.tasks.sharing import Sharing

        labels = _labels(task)
        sharing = Sharing(scheme, alpha, per_device, seed)
        found = heterogeneity(labels, sharing.cut(labels, devices))
    except ModuleNotFoundError as error:
        raise CommandError(f"this needs {error.name}: pip install 'thinwire[train]'", Exit.TRAINING) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        asked = {"task": task, "scheme": scheme, "alpha": alpha, "per_device": per_device, "seed": seed}
        whole = {"schema": "thinwire.partition/v1", **asked, "summary": found.summary(), "devices": found.devices()}
        click.echo(json.dumps(whole))
    else:
        _show(found)


def _labels(task: str) -> "Labels":
    from thinwire.common.errors import TaskError
    from thinwire.tasks import load_task

    labels = getattr(load_task(task), "labels", None)
    if labels is None:
        raise TaskError(f"task {task!r} has no labels(): nothing is known of its examples")
    found: Labels = labels()
    return found


def _show(found: "Heterogeneity") -> None:
    records = found.devices()
    if len(records) <= MOST_ROWS:
        rows = [_row(record) for record in records]
        tables.show(tables.Table(["device", "examples", "entropy", "distance", *found.classes], rows))
        click.echo()
    s = found.summary()
    tables.show(tables.Table([], [
        ["examples", f"{s['examples']:.0f} on {s['devices']:.0f} devices: {s['least']:.0f} to {s['most']:.0f}, "
                     f"median {s['median']:g}, imbalance {s['imbalance']:.2f}"],
        ["classes", f"{s['classes_mean']:.1f} of {len(found.classes)} a device"],
        ["entropy", f"{s['entropy_mean_bits']:.2f} bits a device, {s['entropy_whole_bits']:.2f} of the whole"],
        ["distance", f"{s['distance_mean']:.2f} from the whole on average, {s['distance_most']:.2f} at most "
                     "(total variation; 0 alike, 1 nothing in common)"],
    ]))  # fmt: skip


def _row(record: dict[str, object]) -> list[str]:
    counts = record["classes"]
    assert isinstance(counts, dict)
    figures = [f"{record['entropy_bits']:.2f}", f"{record['distance']:.2f}"]
    return [str(record["device"]), str(record["examples"]), *figures, *map(str, counts.values())]
