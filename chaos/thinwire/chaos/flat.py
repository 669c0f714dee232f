"""Does a process grow? Its memory and files over time, through all its lives, and the line through them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression, median

_PAGE = os.sysconf("SC_PAGE_SIZE")
# What a process may gain beyond a quarter without being called leaky.
SLACK_MIB, SLACK_FILES = 16.0, 8.0


@dataclass(slots=True)
class Series:
    """One figure over time; times in seconds."""

    points: list[tuple[float, float]] = field(default_factory=list)

    def add(self, at: float, value: float) -> None:
        """One more measurement."""
        self.points.append((at, value))

    @property
    def per_hour(self) -> float:
        """Slope of the least-squares line, a unit an hour; 0 for fewer than three points."""
        if len(self.points) < 3:
            return 0.0
        at, values = zip(*self.points, strict=True)
        return linear_regression(at, values).slope * 3600

    @property
    def most(self) -> float:
        """The largest."""
        return max((value for _, value in self.points), default=0.0)

    def has_grown(self, slack: float) -> bool:
        """Whether the last third is above the first third by more than a quarter and the slack; medians are compared.

        A slope alone would call noise a leak in a short run and miss a step in a long one.
        """
        third = len(self.points) // 3
        if third < 3:
            return False
        values = [value for _, value in self.points]
        return median(values[-third:]) > 1.25 * median(values[:third]) + slack


@dataclass(slots=True)
class Growth:
    """Memory (MiB) and open files of one role; the lives of a process, and of all agents, are one series."""

    memory: Series = field(default_factory=Series)
    files: Series = field(default_factory=Series)

    def measure(self, pid: int, at: float) -> None:
        """Look at a process that is not just starting."""
        if resident := resident_bytes(pid):
            self.memory.add(at, resident / 2**20)
            self.files.add(at, open_files(pid))

    @property
    def evidence(self) -> str:
        """What has grown, in words; "" when all is flat."""
        grown = []
        if self.memory.has_grown(SLACK_MIB):
            grown.append(f"memory grows by {self.memory.per_hour:.1f} MiB/h to {self.memory.most:.0f} MiB")
        if self.files.has_grown(SLACK_FILES):
            grown.append(f"open files grow by {self.files.per_hour:.0f} an hour to {self.files.most:.0f}")
        return " and ".join(grown)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def open_files(pid: int) -> int:
    """Open file descriptors of a process; 0 when it is gone."""
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0
