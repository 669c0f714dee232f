"""`thinwire partition`: how a data set is shared out, and how unlike the devices then are."""

import json
from typing import TYPE_CHECKING

import click

from thinwire.cli import tables
from thinwire.cli.failure import CommandError
from thinwire.common.exits import Exit

if TYPE_CHECKING:
    from thinwire.tasks.heterogeneity import Heterogeneity
    from thinwire.tasks.partition import Shards
    from thinwire.tasks.sharing import Labels, Sharing

# Longer fleets are told by their summary, and more classes by their number; --json has every one.
MOST_ROWS = 50
MOST_CLASSES = 20
# What each option is for; elsewhere it would be without effect, so it is refused.
FOR = {
    "--alpha": ("dirichlet", "quantity"), "--per-device": ("classes",),
    "--seed": ("iid", "dirichlet", "classes", "quantity"),
}  # fmt: skip


@click.command()
@click.argument("task")
@click.option(
    "--scheme", type=click.Choice(["iid", "dirichlet", "classes", "quantity", "natural"]),
    help="How the examples are shared out; the task's own way by default.",
)  # fmt: skip
@click.option("--devices", type=click.IntRange(1, 1_000_000), default=10, show_default=True, help="Devices.")
@click.option("--alpha", type=float, help="Concentration, for dirichlet and quantity; 0.5 by default.")
@click.option("--per-device", type=click.IntRange(1), help="Classes, for classes; 2 by default.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the draw, for all but natural; 0 by default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every device.")
def partition(
    task: str, scheme: str | None, devices: int, alpha: float | None, per_device: int | None, seed: int | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Share out the training examples of TASK, and report what each device gets.

    The same cut is had by a task's parameters: partition, alpha, per_device and partition_seed.

    \b
    Examples:
      thinwire partition watch
      thinwire partition cifar10 --scheme dirichlet --alpha 0.1 --devices 20
      thinwire partition mnist --scheme classes --per-device 2 --json
    """
    try:
        from thinwire.tasks.heterogeneity import heterogeneity

        labels, own = _known(task)
        sharing = _sharing(own, scheme, alpha, per_device, seed)
        found = heterogeneity(labels, _cut(sharing, labels, devices))
    except ModuleNotFoundError as error:
        raise CommandError(f"this needs {error.name}: pip install 'thinwire[train]'", Exit.TRAINING) from error
    if as_json:
        asked = {
            "task": task, "scheme": sharing.scheme, "alpha": sharing.alpha, "per_device": sharing.per_device,
            "seed": sharing.seed,
        }  # fmt: skip
        whole = {"schema": "thinwire.partition/v1", **asked, "summary": found.summary(), "devices": found.devices()}
        click.echo(json.dumps(whole))
    else:
        _show(found, sharing)


def _known(task: str) -> "tuple[Labels, Sharing]":
    """What a task's examples are, and how it shares them out if nobody says otherwise."""
    from thinwire.common.errors import TaskError
    from thinwire.tasks import load_task
    from thinwire.tasks.sharing import Labels, Sharing

    made = load_task(task)
    labels, own = getattr(made, "labels", None), getattr(made, "sharing", None)
    if labels is None:
        raise TaskError(f"task {task!r} has no labels(): nothing is known of its examples")
    known: Labels = labels()
    usual = Sharing("iid" if known.owner_N is None else "natural")
    return known, own if isinstance(own, Sharing) else usual


def _sharing(
    own: "Sharing", scheme: str | None, alpha: float | None, per_device: int | None, seed: int | None
) -> "Sharing":
    from thinwire.tasks.sharing import Sharing

    chosen = scheme or own.scheme
    for option, value in (("--alpha", alpha), ("--per-device", per_device), ("--seed", seed)):
        if value is not None and chosen not in FOR[option]:
            *others, last = FOR[option]
            known = f"{', '.join(others)} and {last}" if others else last
            raise click.UsageError(f"{option} is for --scheme {known}; this one is {chosen}")
    try:
        return Sharing(
            chosen,
            own.alpha if alpha is None else alpha,
            own.per_device if per_device is None else per_device,
            own.seed if seed is None else seed,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _cut(sharing: "Sharing", labels: "Labels", devices: int) -> "Shards":
    from thinwire.common.errors import TaskError

    try:
        return sharing.cut(labels, devices)
    except TaskError as error:
        # All that can be wrong here are the arguments.
        raise click.UsageError(str(error)) from error


def _show(found: "Heterogeneity", sharing: "Sharing") -> None:
    records, few = found.devices(), len(found.classes) <= MOST_CLASSES
    if len(records) <= MOST_ROWS:
        rows = [_row(record, few) for record in records]
        tables.show(tables.Table(["device", "examples", "entropy", "distance", *(found.classes if few else ())], rows))
        click.echo()
    s, of_each = found.summary(), "" if few else "; --json has the examples of each"
    tables.show(tables.Table([], [
        ["scheme", _scheme(sharing)],
        ["examples", f"{s['examples']:.0f} on {s['devices']:.0f} devices: {s['least']:.0f} to {s['most']:.0f}, "
                     f"median {s['median']:g}, imbalance {s['imbalance']:.2f} (deviation over mean)"],
        ["classes", f"{s['classes_mean']:.1f} of {len(found.classes)} a device{of_each}"],
        ["entropy", f"{s['entropy_mean_bits']:.2f} bits a device, {s['entropy_whole_bits']:.2f} of the whole"],
        ["distance", f"{s['distance_mean']:.2f} from the whole on average, {s['distance_most']:.2f} at most "
                     "(total variation; 0 alike, 1 nothing in common)"],
    ]))  # fmt: skip


def _scheme(sharing: "Sharing") -> str:
    of = {"alpha": ("--alpha", sharing.alpha), "per device": ("--per-device", sharing.per_device)}
    with_ = [f"{name} {value:g}" for name, (option, value) in of.items() if sharing.scheme in FOR[option]]
    seed = [f"seed {sharing.seed}"] if sharing.scheme in FOR["--seed"] else []
    return ", ".join([sharing.scheme, *with_, *seed])


def _row(record: dict[str, object], with_classes: bool) -> list[str]:
    counts = record["classes"]
    assert isinstance(counts, dict)
    figures = [f"{record['entropy_bits']:.2f}", f"{record['distance']:.2f}"]
    by_class = [str(count) for count in counts.values()] if with_classes else []
    return [str(record["device"]), str(record["examples"]), *figures, *by_class]
