"""What a soak comes to: a line while it runs, a table and JSON at the end, and the evidence of what went wrong."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from thinwire.chaos.checker import Violation
from thinwire.chaos.options import SoakOptions
from thinwire.common import __version__
from thinwire.common.exits import Exit

SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakReport:
    """One soak. Faults are those that hit a fleet at work; the others are in `void`."""

    seed: int
    network: str
    lines: str
    devices: int
    minutes: float
    mtbf_s: float
    faults: dict[str, int]
    void: dict[str, int]
    kills: int
    kills_coordinator: int
    versions: int
    accuracy: float
    sealed: int
    outcomes: dict[str, int]
    folded: int
    journal_checked: bool
    restart_s_median: float | None
    restart_s_max: float | None
    goes_on_s: float | None
    memory_mib_per_hour: dict[str, float]
    memory_mib_most: dict[str, float]
    files_most: dict[str, float]
    packets: dict[str, int]
    violations: list[Violation]

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {"schema": "thinwire.soak/v1", **asdict(self)}


def tell(report: SoakReport, options: SoakOptions, folder: Path) -> int:
    """Say what came of it; give the exit code."""
    console = Console(stderr=True)
    console.print(table(report))
    for violation in report.violations[:SHOWN]:
        console.print(f"[red]violation[/] {violation.rule}: ", end="")
        console.print(violation.evidence, highlight=False, markup=False)
    if len(report.violations) > SHOWN:
        console.print(f"… and {len(report.violations) - SHOWN} more, all in {folder / 'report.json'}", highlight=False)
    if options.out is not None:
        options.out.write_text(page(report, options), encoding="utf-8")
    text = json.dumps(report.as_dict(), indent=2) + "\n"
    (folder / "report.json").write_text(text, encoding="utf-8")
    if report.violations:
        console.print(f"settings, logs, journal and stores are in {folder}", highlight=False)
        console.print(f"the same faults again: {command(options)}", highlight=False, markup=False)
    if options.json:
        sys.stdout.write(json.dumps(report.as_dict()) + "\n")
    return Exit.TRAINING if report.violations else Exit.OK


def command(options: SoakOptions) -> str:
    """The command that repeats a soak's schedule of faults; the machine's own timing is not repeated."""
    return (
        f"thinwire chaos soak --seed {options.seed} --minutes {options.minutes:g} --devices {options.devices}"
        f" --network {options.network} --lines {options.lines} --mtbf {options.mtbf_s:g}s"
    )


def table(report: SoakReport) -> Table:
    """The report for a terminal."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", style="bold")
    grid.add_column(style="red" if report.violations else None)
    for name, text in facts(report):
        grid.add_row(name, text)
    return grid


def page(report: SoakReport, options: SoakOptions) -> str:
    """The report in Markdown, with what it takes to repeat it."""
    lines = [f"| {name} | {text} |" for name, text in facts(report)]
    found = [f"- {violation.rule}: {violation.evidence}" for violation in report.violations]
    return f"""# A soak

    {command(options)}

Written on {time.strftime("%Y-%m-%d", time.gmtime())}: thinwire {__version__}, Python {platform.python_version()},
{platform.system()}, {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the end, the fleet's own work included.

| | |
| --- | --- |
{chr(10).join(lines)}

Violations:

{chr(10).join(found) or "- none"}
"""


def facts(report: SoakReport) -> list[tuple[str, str]]:
    """The report in words."""
    r = report
    verdict = f"{len(r.violations)} violations" if r.violations else "nothing lost, nothing twice"
    void = f"{sum(r.void.values())} not counted"
    told = [
        ("result", f"{verdict} (seed {r.seed})"),
        ("fleet", f"{r.devices} devices, lines {r.lines} over {r.network}"),
        ("faults", f"{sum(r.faults.values())} in {r.minutes:.1f} min: {_counts(r.faults)}; {void}"),
        ("killed", f"{r.kills} processes at work, {r.kills_coordinator} of them the coordinator"),
        ("restart", _restart(r)),
        ("training", f"version {r.versions}, accuracy {r.accuracy:.3f}"),
    ]
    if r.journal_checked:
        told.append(("deltas", f"{r.sealed} seen sealed; {_counts(r.outcomes)}; {r.folded} folded, each once"))
    else:
        told.append(("deltas", "not checked: the coordinator keeps no journal"))
    told.append(("memory", "; ".join(_memory(r, role) for role in r.memory_mib_most)))
    told.append(("packets", _counts(r.packets)))
    return told


def _restart(r: SoakReport) -> str:
    if r.restart_s_max is None or r.restart_s_median is None:
        return "no coordinator came back"
    goes_on = f"; {r.goes_on_s:.1f} s from the last fault to a whole fleet" if r.goes_on_s is not None else ""
    return f"{r.restart_s_median:.1f} s to serving, at most {r.restart_s_max:.1f} s{goes_on}"


def _memory(r: SoakReport, role: str) -> str:
    slope, most, files = r.memory_mib_per_hour[role], r.memory_mib_most[role], r.files_most[role]
    return f"{role} {most:.0f} MiB at most, {slope:+.1f} MiB/h, {files:.0f} files"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1])) or "none"
