"""What both systems are given: clients, lines, the size of a result and how long its training takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CLIENTS = 2
LINE = "lte"
# One linear map, sent whole and in full precision by both, so that a fault meets the same bytes on the way.
ROWS, COLUMNS = 500, 1000
TRAIN_S = 5.0
STEPS = 10
PAYLOAD_BYTES = 4 * ROWS * COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersOptions:
    """One comparison."""

    # Folder of a virtual environment that has flwr.
    flower: Path
    # Folder for logs and for rows that are done; a row that is there is not played again.
    keep: Path
    # The table in Markdown; None writes none.
    out: Path | None = None
    # Which systems and faults; empty is all.
    systems: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    repeat: int = 1
    seed: int = 1
