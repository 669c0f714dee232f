"""What both sides wrote down, read as it is while they write: the coordinator's journal and the agents' stores.

A view is read, never the thing itself: whoever opens a log cuts off what was torn. The entries are read as
plain maps and not by the code that wrote them, so that a mistake in there is not believed twice.
"""

from __future__ import annotations

import re
import time
from base64 import b64decode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from thinwire.chaos.checker import ACCEPTED, REJECTED, Begun, Committed, Id, JournalFact, Led, Sealed, Settled
from thinwire.common.log import Log
from thinwire.common.record import Record
from thinwire.common.view import View
from thinwire.server.audit import verify
from thinwire.server.journal import Journal
from thinwire.server.replay import Replay

_RUN = re.compile(r"\d{4,}-[0-9a-f]{8}")
JOURNAL, OUTBOX = "journal", "outbox"
# Reading takes at most this share of the soak's time, however long the books get.
READING_SHARE = 0.1


class Books:
    """The books of one run: the coordinator's state folder, and each device's."""

    def __init__(self, coordinator: Path, stores: dict[str, Path]) -> None:
        self._coordinator, self._stores = coordinator, stores
        self._rest_until = 0.0

    @property
    def rested(self) -> bool:
        """Whether it is time to read again."""
        return time.monotonic() >= self._rest_until

    def read(self) -> tuple[list[Sealed | Settled], list[JournalFact]]:
        """Both sides; the agents' first, so that what they know must be in the journal. Raise DamagedError."""
        began = time.monotonic()
        stores = [
            fact for device, folder in self._stores.items() for fact in store_facts(device, records_of(folder, OUTBOX))
        ]
        run = self.run()
        journal = [] if run is None else list(journal_facts(records_of(run, JOURNAL)))
        self._rest_until = time.monotonic() + (time.monotonic() - began) / READING_SHARE
        return stores, journal

    def audit(self) -> list[str]:
        """What `thinwire journal verify` finds wrong."""
        run = self.run()
        if run is None:
            return []
        with View(run) as view:
            return verify(view).problems

    def replay(self) -> tuple[int, int] | None:
        """Version and checksum as `thinwire journal replay` makes them; None without a journal. Raise DamagedError."""
        run = self.run()
        if run is None:
            return None
        with View(run) as view:
            replay = Replay(Journal(view))
            for _ in replay.steps():
                pass
            return replay.state.model.version, replay.state.model.checksum

    def run(self) -> Path | None:
        """The folder of the newest run."""
        if not self._coordinator.is_dir():
            return None
        runs = (entry for entry in self._coordinator.iterdir() if _RUN.fullmatch(entry.name))
        return max(runs, key=lambda run: int(run.name.split("-")[0]), default=None)


def journal_facts(records: Iterable[Record]) -> Iterator[JournalFact]:
    """What a journal says."""
    waiting: list[Id] = []
    whole = None
    for record in records:
        entry = msgspec.msgpack.decode(record.header)
        # Retention drops the beginning, perhaps with deltas of the first commit that is left.
        whole = record.number == 1 if whole is None else whole
        match entry["type"]:
            case "Admitted":
                waiting.append(_id(entry))
                yield Settled(waiting[-1], entry["sha256"], ACCEPTED)
            case "Rejected":
                yield Settled(_id(entry), entry["sha256"], REJECTED)
            case "Committed":
                count = entry["folded"] if whole else len(waiting)
                yield Committed(entry["version"], entry["checksum"], tuple(waiting), count)
                waiting, whole = [], True
            case "Greeted":
                yield Begun(entry["device"], entry["epoch"])
            case "Led":
                yield Led(entry["leader_epoch"])


def store_facts(device: str, records: Iterable[Record]) -> Iterator[Sealed | Settled]:
    """What an agent's store says."""
    entries = [msgspec.json.decode(record.header) for record in records]
    # When the beginning was deleted, a summary further on says which epoch it was of.
    epochs = [entry for entry in entries if entry["type"] in ("Joined", "Summary")]
    epoch = epochs[0]["epoch"] if epochs and epochs[0]["type"] == "Summary" else None
    for entry in entries:
        match entry["type"]:
            case "Joined" | "Summary":
                epoch = entry["epoch"]
            case "Sealed" if epoch is not None:
                yield Sealed(Id(device, epoch, entry["seq"]), b64decode(entry["sha256"]))
            case "Settled" if epoch is not None:
                yield Settled(Id(device, epoch, entry["seq"]), b"", ACCEPTED if entry["accepted"] else REJECTED)


def records_of(folder: Path, prefix: str) -> Iterator[Record]:
    """The records of a log that somebody may be writing to, as of now."""
    if not folder.is_dir():
        return
    with View(folder) as view:
        log = Log(view, prefix)
        yield from log.read(log.first)


def _id(entry: dict[str, Any]) -> Id:
    return Id(entry["device"], entry["epoch"], entry["seq"])
