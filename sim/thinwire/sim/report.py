"""One page of HTML about runs, simulated or real. All it shows is in it, so it can be sent to anyone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from thinwire.common.history import History, HistoryError, read_history
from thinwire.common.units import about
from thinwire.sim.grouping import Runs, grouped
from thinwire.sim.outcome import final, summary
from thinwire.sim.plots import MORE_PICTURES, PICTURES, by_group, draw, look, slots
from thinwire.sim.words import fleet_in_words, settings_in_words

# matplotlib's dashes, as SVG has them, for a line of 3 pixels.
STROKES = {"-": "none", "--": "9 4", "-.": "11 4 3 4", ":": "3 4"}
PAGE = Path(__file__).with_name("report.html")
MOST_RUNS = 1000


def find(places: Iterable[Path]) -> list[History]:
    """The histories of files, or of all *.jsonl below folders; raise HistoryError when there are none."""
    histories: list[History] = []
    read: set[Path] = set()
    for place in places:
        files = sorted(place.rglob("*.jsonl")) if place.is_dir() else [place]
        if not files:
            raise HistoryError(
                f"{place}: no history (*.jsonl) is in this folder; simulate writes them, and demo with --keep"
            )
        if len(files) > MOST_RUNS:
            raise HistoryError(f"{place}: {len(files)} files; a page of more than {MOST_RUNS} runs is of no use")
        # A folder and one within it may both be named.
        fresh = [file for file in files if file.resolve() not in read]
        read.update(file.resolve() for file in fresh)
        histories += [history for file in fresh if (history := read_history(file)).rows]
    if not histories:
        raise HistoryError("no run has published a version, so there is nothing to report")
    return _as_listed(histories)


def _as_listed(histories: Sequence[History]) -> list[History]:
    """In the order of their scenarios, not of the alphabet, so that a method has here the colour that it has there."""
    listed = dict.fromkeys(method for history in histories for method in history.header.methods)
    place = {method: number for number, method in enumerate(listed)}
    return sorted(histories, key=lambda history: place.get(history.header.method, len(place)))


def page(histories: Sequence[History]) -> str:
    """The whole page."""
    groups = grouped(histories)
    ordered = [history for runs in groups for history in runs.histories]
    metrics = _metrics(ordered)
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(_title(ordered)),
        lead=escape(_lead(ordered)),
        summary=_table(summary(ordered)),
        switches=_switches(groups) if len(groups) > 1 else "",
        pictures="\n".join(f"<figure>{picture}</figure>" for picture in _pictures(ordered, groups)),
        runs=_table([_run(history, runs.label, metrics) for runs in groups for history in runs.histories]),
        configuration="\n".join(_configuration(groups)),
    )


def _title(histories: Sequence[History]) -> str:
    names = dict.fromkeys(history.header.scenario for history in histories)
    return f"thinwire: {', '.join(name or 'a run' for name in names)}"


def _lead(histories: Sequence[History]) -> str:
    headers = [history.header for history in histories]
    sources = " and ".join(dict.fromkeys(header.source for header in headers))
    runs = f"{len(histories)} {sources} runs" if len(histories) > 1 else f"One {sources} run"
    fleets = _either(f"{header.devices} devices behind links of {header.link}" for header in headers)
    models = _either(f"task {header.task}, {header.parameters} parameters" for header in headers)
    return f"{runs}; {fleets}; {models}."


def _either(facts: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(facts))


def _switches(groups: Sequence[Runs]) -> str:
    box = '<label><input type="checkbox" checked data-method="{}">{}{}</label>'
    boxes = "".join(
        box.format(place, _swatch(*look(place)), escape(runs.label))
        for place, runs in zip(slots(groups), groups, strict=True)
    )
    return f'<p class="switches">{boxes}</p>'


def _swatch(colour: str, dash: str) -> str:
    """A piece of the line that a method has in the pictures."""
    line = f'stroke="{colour}" stroke-width="3" stroke-dasharray="{STROKES[dash]}"'
    return f'<svg class="swatch" width="34" height="8"><line x1="0" y1="4" x2="34" y2="4" {line}/></svg>'


def _pictures(histories: Sequence[History], groups: Sequence[Runs]) -> Iterable[str]:
    for picture in (*PICTURES, *MORE_PICTURES):
        yield _inline(draw(picture, histories, "svg"))
    for runs in groups:
        first = runs.histories[0]
        if len({group for row in first.rows for group in row.density}) > 1:
            yield _inline(by_group(first, "svg", runs.label))


def _inline(svg: bytes) -> str:
    text = svg.decode("utf-8")
    return text[text.index("<svg") :]


def _table(records: Sequence[Mapping[str, str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in records[0])
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in record.values()) for record in records)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _metrics(histories: Sequence[History]) -> dict[str, str]:
    """Which accuracies are told of runs: what somebody has measured."""
    titles = {"mean of devices": "device_accuracy", "worst tenth": "device_accuracy_worst"}
    known = {name for history in histories for row in history.measured[-1:] for name in row.metrics}
    return {"accuracy": "accuracy"} | {title: metric for title, metric in titles.items() if metric in known}


def _final(history: History, metric: str) -> str:
    figure = final(history, metric)
    return f"{figure:.3f}" if figure is not None else "-"


def _run(history: History, label: str, metrics: Mapping[str, str]) -> dict[str, str]:
    header, last = history.header, history.rows[-1]
    equal = f"{history.end.devices_equal} of {header.devices}" if history.end and history.end.devices_equal else "-"
    return {
        "method": label,
        "seed": str(header.seed),
        **{title: _final(history, metric) for title, metric in metrics.items()},
        "versions": str(last.version),
        "time": f"{history.time_s:.1f} s",
        "bytes up": about(history.bytes_up),
        "bytes down": about(history.bytes_down),
        "deltas": str(sum(row.deltas for row in history.rows)),
        "rejected": str(history.rejected),
        "devices equal": equal,
        "checksum": last.checksum or "-",
        "ended": history.end.reason if history.end else "cut short",
    }


def _configuration(groups: Sequence[Runs]) -> Iterable[str]:
    for runs in groups:
        header = runs.histories[0].header
        versions = "\n".join(f"{name} {version}" for name, version in header.versions.items())
        seeds = ", ".join(str(history.header.seed) for history in runs.histories)
        differs = "\n".join(f"{key} = {value}" for key, value in runs.differs.items())
        apart = f"<p>Differs from the others of its name:</p><pre>{escape(differs)}</pre>" if differs else ""
        texts = (fleet_in_words(header), settings_in_words(header).strip(), versions)
        blocks = "".join(f"<pre>{escape(text)}</pre>" for text in texts if text)
        yield f"<details><summary>{escape(runs.label)}</summary>{apart}<p>Seeds: {seeds}.</p>{blocks}</details>"
