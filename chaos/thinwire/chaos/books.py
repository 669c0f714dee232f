"""What both sides wrote down, read as it is while they write: the coordinator's journal and the agents' stores.

A copy is read, never the thing itself: whoever opens a log cuts off what was torn.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from thinwire.chaos.checker import Committed, Sealed, Settled


class Books:
    """The books of one run."""

    def __init__(self, coordinator: Path, stores: dict[str, Path]) -> None:
        self._coordinator, self._stores = coordinator, stores

    def journal(self) -> list[Settled | Committed]:
        """The coordinator's side."""
        return []

    def stores(self) -> Iterator[list[Sealed | Settled]]:
        """The agents' side, one store after the other."""
        yield from ()

    def replay(self) -> tuple[int, int] | None:
        """Version and checksum that the journal comes to; None when there is no journal."""
        return None
