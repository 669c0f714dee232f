"""The page of the rate's table: bars, figures with their range over the seeds, and with what it was run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from statistics import mean

from thinwire.bench.rate import grid
from thinwire.bench.rate.cells import CLOSE, Entry
from thinwire.bench.rate.grid import Part, Size
from thinwire.bench.rate.verdicts import Verdict, verdicts
from thinwire.common.history import History, versions
from thinwire.common.units import about
from thinwire.sim.outcome import LAST

WORDS = {True: "reached", False: "MISSED", None: "not judged"}


def write(entries: Sequence[Entry], histories: Sequence[History], size: Size, folder: Path, command: str) -> None:
    """Leave rate.md, with tables and bars, and a picture a part in a folder of results."""
    from thinwire.sim.plots import PICTURES, draw

    folder.mkdir(parents=True, exist_ok=True)
    (picture,) = (picture for picture in PICTURES if picture.name == "accuracy-bytes")
    for part in _parts(entries):
        # A fixed rate may be the baseline of two policies; it is drawn once.
        runs = {(e.method, e.seed): h for e, h in zip(entries, histories, strict=True) if e.part == part.name}
        titled = dataclasses.replace(picture, title=f"{part.title}: accuracy over traffic", x_logarithmic=True)
        (folder / f"rate-{part.name}.svg").write_bytes(draw(titled, list(runs.values()), "svg"))
    (folder / "rate.md").write_text("\n".join(_page(entries, size, command)), encoding="utf-8")


def _page(entries: Sequence[Entry], size: Size, command: str) -> Iterator[str]:
    yield from _head(entries, size, command)
    yield from _bars(verdicts(entries))
    for part in _parts(entries):
        yield from _part(part, [entry for entry in entries if entry.part == part.name])
    yield from ("## The scenarios", "")
    for part in _parts(entries):
        yield from (f"{part.title}, `{grid.POLICIES[-1]}`; the other policies differ in `density.policy` alone:", "")
        yield from ("```toml", grid.dynamic_toml(part, size, grid.POLICIES[-1]).strip(), "```", "")


def _head(entries: Sequence[Entry], size: Size, command: str) -> Iterator[str]:
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    steps = sum({(entry.part, entry.method, entry.seed): entry.steps for entry in entries}.values())
    yield from (
        "# The update rate: bytes, and accuracy for all and for each device",
        "",
        f"Written by `{command}` on {datetime.now(timezone.utc):%Y-%m-%d}; {used};",
        f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f} at the end;"
        f" seeds {', '.join(map(str, size.seeds))}; {steps:,} steps of the optimiser in these runs.",
        "",
        "Simulated with the product's own coordinator, agents and codec; bytes are those of all links, messages with"
        " gRPC's frame, the first model included. Rounds of all devices, no overlap, so methods differ in what is sent"
        f" alone. Dense averaging (`{grid.DENSE}`) sends all parameters as float32 both ways for {size.dense_rounds}"
        f" rounds; everything sparse has {size.rounds} rounds, since what waits in residuals lags behind, and its bytes"
        " count all of them.",
        "",
        "A fixed rate `fixed-D` was chosen after its policy had run, such that the bytes of its whole run, up and down,"
        f" come to the same: the policy's mean density is tried first, and where that is more than {CLOSE:.0%} off,"
        " interpolated once. Its density down is twice that up, as the policies' is.",
        "",
        f"Accuracies are means of the last {LAST} measurements; `after as many rounds` is that after the"
        f" {size.dense_rounds} rounds that dense averaging has. `devices` is the mean over devices of the accuracy on"
        " held-out data like each device's own, `worst` the mean over the worst tenth of them. Each figure is the mean"
        " over the seeds, with the lowest and the highest in brackets.",
        "",
    )


def _bars(found: Sequence[Verdict]) -> Iterator[str]:
    yield from ("## Bars", "", "| fleet | policy | bar | | figures |", "| --- | --- | --- | --- | --- |")
    for one in found:
        yield f"| {one.part} | {one.policy} | {one.bar} | {WORDS[one.reached]} | {one.figures} |"
    yield ""


def _part(part: Part, here: Sequence[Entry]) -> Iterator[str]:
    yield from (f"## {part.title}", "")
    yield (
        "| method | same bytes as | density | up | down | of dense | over that policy's | of dense, when first as good"
        " | accuracy | after as many rounds | devices | worst |"
    )
    yield "| --- | --- |" + " ---: |" * 10
    for method, like in dict.fromkeys((entry.method, entry.like) for entry in here):
        yield _row([entry for entry in here if (entry.method, entry.like) == (method, like)])
    yield from ("", f"![accuracy over bytes, {part.name}](rate-{part.name}.svg)", "")


def _row(runs: Sequence[Entry]) -> str:
    overtaken = [run.overtakes for run in runs if run.overtakes is not None]
    cells = (
        runs[0].method,
        runs[0].like,
        f"{mean(run.density for run in runs):.3f}",
        about(mean(run.bytes_up for run in runs)),
        about(mean(run.bytes_down for run in runs)),
        f"{mean(run.share for run in runs):.2%}",
        f"{mean(run.ratio for run in runs):.3f}" if runs[0].like else "",
        f"{mean(overtaken):.1%} ({len(overtaken)} of {len(runs)} seeds)" if overtaken else "never",
        _spread(run.accuracy for run in runs),
        f"{mean(run.accuracy_then for run in runs):.3f}",
        _spread(run.device_accuracy for run in runs),
        _spread(run.device_accuracy_worst for run in runs),
    )
    return f"| {' | '.join(cells)} |"


def _spread(values: Iterable[float]) -> str:
    figures = list(values)
    around = f" ({min(figures):.3f} to {max(figures):.3f})" if len(figures) > 1 else ""
    return f"{mean(figures):.3f}{around}"


def _parts(entries: Sequence[Entry]) -> list[Part]:
    return [grid.PARTS[name] for name in dict.fromkeys(entry.part for entry in entries)]
