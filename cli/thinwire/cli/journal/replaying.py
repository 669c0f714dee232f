"""`thinwire journal replay`."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from thinwire.cli.failure import CommandError
from thinwire.cli.journal.run import as_json_option, folder, opened, run_of
from thinwire.common.exits import Exit

if TYPE_CHECKING:
    from thinwire.server.replay import Replay


@click.command()
@folder
@click.option("--from-checkpoint", "start", type=click.IntRange(0), metavar="N", help="Not from the oldest one.")
@click.option("--to", "version", type=click.IntRange(0), metavar="VERSION", help="Not to the end.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the model there (safetensors).")
@as_json_option
def replay(dir: Path | None, start: int | None, version: int | None, out: Path | None, as_json: bool) -> None:
    """Make the model anew from a checkpoint and every entry after it.

    Each version must have the checksum that it was published with; the last is what `thinwire status --json` says.

    \b
    Examples:
      thinwire journal replay
      thinwire journal replay --to 120 --out model-120.safetensors
    """
    from thinwire.server.replay import Replay

    began = time.perf_counter()
    with opened(run_of(dir)) as written:
        replay = Replay(written, start)
        _check_start(replay, version)
        entries = _print_steps(replay, version, as_json)
    _check_reached(replay, version)
    if out is not None:
        _write_model(replay, out)
    if not as_json:
        model = replay.state.model
        click.echo(
            f"version {model.version} with checksum {model.checksum:016x}: {entries} entries in"
            f" {time.perf_counter() - began:.2f} s, {replay.compared} checkpoints are the same"
        )


def _print_steps(replay: "Replay", version: int | None, as_json: bool) -> int:
    first = replay.number
    form = "{:>8}  {:>16}  {:>8}  {:>8}"
    if not as_json:
        click.echo(form.format("version", "checksum", "entries", "seconds"))
    for step in replay.steps(version):
        hexadecimal = f"{step.checksum:016x}"
        if as_json:
            told = {"version": step.version, "checksum": hexadecimal, "number": step.number}
            click.echo(json.dumps({**told, "entries": step.entries, "seconds": round(step.seconds, 6)}))
        else:
            click.echo(form.format(step.version, hexadecimal, step.entries, f"{step.seconds:.3f}"))
    return replay.number - first


def _check_start(replay: "Replay", version: int | None) -> None:
    if version is not None and version < replay.state.model.version:
        raise CommandError(
            f"version {version} is older than the checkpoint, which is of version {replay.state.model.version}",
            Exit.SETTINGS,
        )


def _check_reached(replay: "Replay", version: int | None) -> None:
    if version is not None and version != replay.state.model.version:
        raise CommandError(
            f"there is no version {version}: the last is {replay.state.model.version}", Exit.SETTINGS
        )


def _write_model(replay: "Replay", out: Path) -> None:
    from thinwire.common.snapshot import to_safetensors

    model = replay.state.model
    try:
        out.write_bytes(to_safetensors(model.freeze(), model.layout, model.buffer_layout))
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error.strerror}", Exit.DISK) from None
