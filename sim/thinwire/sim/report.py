"""One page of HTML about runs, simulated or real. All it shows is in it, so it can be sent to anyone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from thinwire.common.history import History, HistoryError, read_history
from thinwire.common.units import about
from thinwire.sim.outcome import final_accuracy, summary
from thinwire.sim.plots import COLOURS, MORE_PICTURES, PICTURES, by_group, draw

PAGE = Path(__file__).with_name("report.html")
MOST_RUNS = 1000


def find(places: Iterable[Path]) -> list[History]:
    """The histories of files, or of all *.jsonl below folders; raise HistoryError when there are none."""
    histories: list[History] = []
    for place in places:
        files = sorted(place.rglob("*.jsonl")) if place.is_dir() else [place]
        if not files:
            raise HistoryError(
                f"{place}: no history (*.jsonl) is in this folder; simulate writes them, and demo with --keep"
            )
        if len(files) > MOST_RUNS:
            raise HistoryError(f"{place}: {len(files)} files; a page of more than {MOST_RUNS} runs is of no use")
        histories += [history for file in files if (history := read_history(file)).rows]
    if not histories:
        raise HistoryError("no run has published a version, so there is nothing to report")
    return histories


def page(histories: Sequence[History]) -> str:
    """The whole page."""
    methods = list(dict.fromkeys(history.header.method for history in histories))
    ordered = sorted(histories, key=lambda history: (methods.index(history.header.method), history.header.seed))
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(_title(ordered)),
        lead=escape(_lead(ordered)),
        summary=_table(summary(ordered)),
        switches=_switches(methods) if len(methods) > 1 else "",
        pictures="\n".join(f"<figure>{picture}</figure>" for picture in _pictures(ordered, methods)),
        runs=_table([_run(history) for history in ordered]),
        configuration="\n".join(_configuration(ordered, methods)),
    )


def _title(histories: Sequence[History]) -> str:
    names = dict.fromkeys(history.header.scenario for history in histories)
    return f"thinwire: {', '.join(name or 'a run' for name in names)}"


def _lead(histories: Sequence[History]) -> str:
    first = histories[0].header
    sources = " and ".join(dict.fromkeys(history.header.source for history in histories))
    runs = f"{len(histories)} {sources} runs" if len(histories) > 1 else f"One {sources} run"
    model = f"task {first.task}, {first.parameters} parameters"
    return f"{runs}; {first.devices} devices behind links of {first.link}; {model}."


def _switches(methods: Sequence[str]) -> str:
    return "".join(
        f'<label><input type="checkbox" checked data-method="{place}">'
        f'<span class="swatch" style="background:{COLOURS[place % len(COLOURS)]}"></span>{escape(method)}</label>'
        for place, method in enumerate(methods)
    )


def _pictures(histories: Sequence[History], methods: Sequence[str]) -> Iterable[str]:
    for picture in (*PICTURES, *MORE_PICTURES):
        yield _inline(draw(picture, histories, "svg"))
    for method in methods:
        first = next(history for history in histories if history.header.method == method)
        groups = {group for row in first.rows for group in row.density}
        if len(groups) > 1:
            yield _inline(by_group(first, "svg"))


def _inline(svg: bytes) -> str:
    text = svg.decode("utf-8")
    return text[text.index("<svg") :]


def _table(records: Sequence[Mapping[str, str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in records[0])
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in record.values()) for record in records)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _run(history: History) -> dict[str, str]:
    header, last, accuracy = history.header, history.rows[-1], final_accuracy(history)
    equal = f"{history.end.devices_equal} of {header.devices}" if history.end and history.end.devices_equal else "-"
    return {
        "method": header.method,
        "seed": str(header.seed),
        "accuracy": f"{accuracy:.3f}" if accuracy is not None else "-",
        "versions": str(last.version),
        "time": f"{last.time_s:.1f} s",
        "bytes up": about(last.bytes_up),
        "bytes down": about(last.bytes_down),
        "deltas": str(sum(row.deltas for row in history.rows)),
        "rejected": str(sum(row.rejected for row in history.rows)),
        "devices equal": equal,
        "checksum": last.checksum or "-",
        "ended": history.end.reason if history.end else "cut short",
    }


def _configuration(histories: Sequence[History], methods: Sequence[str]) -> Iterable[str]:
    for method in methods:
        header = next(history.header for history in histories if history.header.method == method)
        versions = "\n".join(f"{name} {version}" for name, version in header.versions.items())
        yield (
            f"<details><summary>{escape(method)}</summary>"
            f"<pre>{escape(header.settings)}</pre><pre>{escape(header.fleet)}</pre><pre>{escape(versions)}</pre></details>"
        )
