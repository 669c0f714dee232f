"""What a run looks like while it goes on: a live table in a terminal, plain lines elsewhere. All on standard error."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from thinwire.common.units import about
from thinwire.v1 import operator_pb2

PLAIN_EVERY_S = 5.0


class View:
    """Shows stages, then figures."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._live: Live | None = None
        self._plain_at = 0.0
        self._shown_stage = ""
        if console.is_terminal:
            self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> View:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        (self._live.console if self._live else self._console).print(text, highlight=False, soft_wrap=True)

    def stage(self, text: str) -> None:
        """What is being waited for, before there are figures."""
        if self._live:
            self._live.update(f"  {text} … {self._elapsed():.0f} s")
        elif text.split(":")[0] != self._shown_stage:
            self._shown_stage = text.split(":")[0]
            self.say(f"{text} …")

    def figures(self, status: operator_pb2.GetStatusResponse) -> None:
        """How far the training is."""
        if self._live:
            self._live.update(figures_table(status))
        elif time.monotonic() >= self._plain_at:
            self._plain_at = time.monotonic() + PLAIN_EVERY_S
            self.say(figures_line(status))

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


def figures_line(status: operator_pb2.GetStatusResponse) -> str:
    """One line of figures."""
    return (
        f"{status.elapsed_s:4.0f} s  version {status.version:4d}  accuracy {status.metrics.get('accuracy', 0):.3f}"
        f"  up {about(status.wire_bytes_up)} ({_times(status.dense_bytes_up, status.wire_bytes_up)})"
        f"  down {about(status.wire_bytes_down)} ({_times(status.dense_bytes_down, status.wire_bytes_down)})"
        f"  {status.overlap_ratio:.0%} hidden"
    )


def figures_table(status: operator_pb2.GetStatusResponse) -> Table:
    """The live table."""
    accuracy = status.metrics.get("accuracy", 0.0)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", style="bold")
    grid.add_column(justify="right", min_width=10)
    grid.add_column()
    grid.add_row("devices", f"{status.connected}", f"training for {status.elapsed_s:.0f} s")
    grid.add_row("version", f"{status.version}", f"{status.accepted} deltas, {status.mean_staleness:.1f} versions late")
    grid.add_row("accuracy", f"{accuracy:.3f}", _bar(accuracy, status.target_accuracy))
    grid.add_row("up", about(status.wire_bytes_up), _times(status.dense_bytes_up, status.wire_bytes_up))
    grid.add_row("down", about(status.wire_bytes_down), _times(status.dense_bytes_down, status.wire_bytes_down))
    grid.add_row("hidden", f"{status.overlap_ratio:.0%}", "of the transfer time behind compute")
    return grid


def _bar(accuracy: float, target: float) -> Table:
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=target or 1.0, completed=min(accuracy, target or 1.0), width=30), f"target {target:g}"
    )
    return bar


def _times(dense: int, wire: int) -> str:
    return f"{dense / wire:.0f} times fewer than dense" if wire else "nothing yet"
