"""The history of one run as JSON lines: what is plotted, compared and reported, of a fleet or of a simulation.

    {"kind": "header", "schema": "thinwire.history/v1", …}    what was run, and with which versions
    {"kind": "row", "time_s": 12.5, "version": 7, …}          a line for each version that was seen
    {"kind": "end", "reason": "…", …}                         only a history that ends is whole
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import msgspec

from thinwire.common import __version__
from thinwire.common.errors import ThinwireError

SCHEMA = "thinwire.history/v1"
# A million versions; a file beyond that is something else.
MOST_BYTES = 512 << 20
# Of what `versions` tells: libraries that do not compute decide nothing of a history.
DECIDING = ("thinwire", "numpy", "torch", "machine")


class HistoryError(ThinwireError):
    """A file that is no history."""


class Header(msgspec.Struct, tag_field="kind", tag="header", kw_only=True, frozen=True):
    """What was run."""

    schema: str = SCHEMA
    source: str = "simulated"  # or "real"
    scenario: str = ""
    method: str = ""
    seed: int = 0
    task: str = ""
    parameters: int = 0
    devices: int = 0
    link: str = ""
    target_accuracy: float = 0.0
    settings: str = ""  # TOML
    fleet: str = ""  # TOML or words
    fingerprint: str = ""  # of everything that decides the rows
    versions: dict[str, str] = {}
    code: str = ""  # checksum of the module of a task of one's own
    methods: tuple[str, ...] = ()  # of the scenario, in its order, which is that of tables and colours


class Row(msgspec.Struct, tag_field="kind", tag="row", kw_only=True, frozen=True, omit_defaults=True):
    """A version as it was published. Counts and means are over what happened since the row before; bytes are totals."""

    time_s: float
    version: int
    bytes_up: int
    bytes_down: int
    deltas: int = 0
    rejected: int = 0
    staleness: float = 0.0  # mean over these deltas, in versions
    delay_steps: float = 0.0  # median over devices: local steps from cut to inclusion, of the last delta that came in
    density: dict[str, float] = {}  # mean share of the parameters in these deltas, by group
    density_down: float = 0.0
    overlap: float = 0.0  # share of the transfer time until now that was hidden behind computing
    checksum: str = ""
    metrics: dict[str, float] = {}  # of the model, if this version was measured

    @property
    def accuracy(self) -> float | None:
        """The accuracy, if this version was measured."""
        return self.metrics.get("accuracy")


class End(msgspec.Struct, tag_field="kind", tag="end", kw_only=True, frozen=True):
    """Why it ended, and what came after the last row, too; `wall_s` is what the computer took.

    `devices_equal` is None where devices had no chance to come to the last version, because the run was cut off.
    """

    reason: str
    time_s: float
    wall_s: float = 0.0
    devices_equal: int | None = 0
    # Of the whole run; 0 in histories that do not say.
    bytes_up: int = 0
    bytes_down: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """One run."""

    header: Header
    rows: tuple[Row, ...]
    end: End | None

    @property
    def measured(self) -> tuple[Row, ...]:
        """The rows with an accuracy."""
        return tuple(row for row in self.rows if row.accuracy is not None)

    @property
    def time_s(self) -> float:
        """How long it went on, with or without versions."""
        return self.end.time_s if self.end else self.rows[-1].time_s

    @property
    def bytes_up(self) -> int:
        """Of the whole run, on all links."""
        return max(self.rows[-1].bytes_up, self.end.bytes_up if self.end else 0)

    @property
    def bytes_down(self) -> int:
        """Of the whole run, on all links."""
        return max(self.rows[-1].bytes_down, self.end.bytes_down if self.end else 0)

    @property
    def rejected(self) -> int:
        """Deltas of the whole run that were not taken."""
        return max(sum(row.rejected for row in self.rows), self.end.rejected if self.end else 0)

    @property
    def reached(self) -> Row | None:
        """The first row at or above the target; None when it was not reached or there is none."""
        target = self.header.target_accuracy
        return next((row for row in self.measured if target and (row.accuracy or 0.0) >= target), None)


_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Header | Row | End] = msgspec.json.Decoder(Header | Row | End)


def write_history(path: Path, header: Header, rows: Sequence[Row], end: End) -> None:
    """Write a history that is there whole or not at all; raise HistoryError when the disk does not take it."""
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(b"".join(_ENCODER.encode(line) + b"\n" for line in (header, *rows, end)))
        part.replace(path)
    except OSError as error:
        raise HistoryError(f"{path}: cannot be written: {error.strerror}") from error


def line_of(line: Header | Row | End) -> bytes:
    """One line, for a history that is written while it happens."""
    return _ENCODER.encode(line) + b"\n"


def read_history(path: Path) -> History:
    """Read a history; raise HistoryError when it is none. One that was cut short ends without an End."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise HistoryError(f"{path}: is longer than {MOST_BYTES} bytes, so it is no history")
        content = path.read_bytes()
    except OSError as error:
        raise HistoryError(f"{path}: cannot be read: {error.strerror}") from error
    # A line without its end was being written when its writer was stopped.
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    header: Header | None = None
    rows: list[Row] = []
    for number, text in enumerate(lines, start=1):
        line = _decoded(text, path, number)
        if isinstance(line, Header):
            header = line
        elif isinstance(line, End):
            return History(_headed(header, path), tuple(rows), line)
        else:
            rows.append(line)
    return History(_headed(header, path), tuple(rows), None)


def versions() -> dict[str, str]:
    """What decides a history beside its settings: our version and those of the libraries that compute."""
    found = {"thinwire": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for name in ("numpy", "torch", "zstandard"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _decoded(text: bytes, path: Path, number: int) -> Header | Row | End:
    try:
        return _DECODER.decode(text)
    except msgspec.MsgspecError as error:
        raise HistoryError(f"{path}: line {number} is no line of a history: {error}") from error


def _headed(header: Header | None, path: Path) -> Header:
    if header is None or header.schema != SCHEMA:
        raise HistoryError(f"{path}: has no header of the schema {SCHEMA}, so it is no history")
    return header
