"""What a device must not forget: its identity, its sealed deltas with their outcomes, and where its residual lies.

A log of records (records.py) says it all, an account (account.py) is what they come to, and the residual, which is as
large as the model, is written now and then by the trainer as a file of its own. Between two such files the log says
what became of each coordinate: a sealed one has left the residual, a refunded one is back in it.

Plain calls, no clock and no waiting: the agent's shell makes them in a thread, a simulation on a disk of its own.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from thinwire.client.store import records
from thinwire.client.store.account import Account
from thinwire.client.store.reading import Restored, account_of, bodies, restored_from
from thinwire.common import frames
from thinwire.common.disk import Folder
from thinwire.common.errors import DamagedError, DiskError, SyncError
from thinwire.common.log import Log

PREFIX = "outbox"
DAMAGED = "damaged"
SEGMENT_BYTES = 4 << 20
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a new trainer gets back the residual of the one before it."""

    told: Iterator[tuple[frames.ToTrainer, bytes]]
    forgotten_cuts: int  # of these cuts, what was not sent is lost
    problem: str = ""


class Store:
    """The durable part of an agent, in a folder of its own; raise DiskError when the folder cannot be read."""

    def __init__(self, folder: Folder, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder, self._segment_bytes = folder, segment_bytes
        self._backlog: deque[tuple[records.Any, bytes]] = deque()
        self._counted = 0  # seals whose lost leftovers were counted
        self.written_bytes = self.residual_bytes = 0
        try:
            self._account, self._log, self.restored = self._open()
        except DamagedError as error:
            self._account, self._log, self.restored = self._set_aside(error)
        self._tidy(starting=True)

    def keep(self, record: records.Any, body: bytes = b"") -> None:
        """Write a record down, and what could not be written before it; on return it is safe if it is `synced`.

        Raise DiskError when there is no room or no way to write: the record waits in memory for the next `flush`.
        Raise SyncError when nothing is known of what was written: the process must end.
        """
        if isinstance(record, records.Joined):
            self._counted = 0
        if isinstance(record, records.Covered):
            self.residual_bytes += record.file_bytes
        self._account.take(self._log.next + len(self._backlog), record)
        self._backlog.append((record, body))
        self._write()
        if record.synced:
            self.flush()

    def flush(self) -> None:
        """Write and sync all that waits; raises as `keep` does."""
        self._write()
        self._log.sync()
        self._tidy()

    def recover(self) -> Recovery:
        """The newest residual that can be read, and what happened to it since, for a trainer that has none."""
        problems = []
        for covered in reversed(self._account.covered):
            if self._is_whole(covered):
                break
            problems.append(f"{residual_name(covered.generation)} is damaged or gone")
            self._account.discard(covered)
        newest = self._account.covered[-1].seals if self._account.covered else 0
        forgotten = max(0, self._account.sealed - max(newest, self._counted))
        self._counted = max(self._counted, self._account.sealed)
        return Recovery(self.replay(), forgotten, "; ".join(problems))

    def replay(self) -> Iterator[tuple[frames.ToTrainer, bytes]]:
        """What a trainer must be told to have the residual as it is written down, read while it is told.

        No record may be kept meanwhile.
        """
        newest = self._account.covered[-1] if self._account.covered else None
        if newest is not None:
            yield frames.Restore(file=residual_name(newest.generation), crc=newest.crc), b""
        changes = self._account.changes_after(newest)
        # Refunds are few, and their bodies lie further back; those of seals come in the order of the log.
        refunded = self._bodies({change.number for change in changes if change.refund})
        seals = self._read({change.number for change in changes if not change.refund})
        for change in changes:
            if change.refund:
                frame: frames.ToTrainer = frames.Refund(seq=change.seq, buffer_bytes=change.buffer_bytes)
                yield frame, refunded[change.number]
            else:
                yield frames.Mask(seq=change.seq, buffer_bytes=change.buffer_bytes), next(seals)

    def close(self) -> None:
        """Let go of the files."""
        self._log.close()

    # -- opening -----------------------------------------------------------------------------------------------

    def _open(self) -> tuple[Account, Log, Restored]:
        log = Log(self._folder, PREFIX, self._segment_bytes)
        try:
            account = account_of(log)
            return account, log, restored_from(account, log)
        except DamagedError:
            log.close()
            raise

    def _set_aside(self, error: DamagedError) -> tuple[Account, Log, Restored]:
        names = self._folder.names()
        taken = {name.split("-")[1] for name in names if name.startswith(f"{DAMAGED}-")}
        number = next(n for n in range(1, len(taken) + 2) if str(n) not in taken)
        # Oldest first, and the watermark last: what a crash leaves behind is never taken for a whole store.
        for name in names:
            if name.startswith((PREFIX, "residual-")):
                self._folder.rename(name, f"{DAMAGED}-{number}-{name}")
        problem = f"{error}; all of it was set aside as {DAMAGED}-{number}-…"
        # How many deltas were in it cannot be known: at least the one that was damaged.
        return Account(), Log(self._folder, PREFIX, self._segment_bytes), Restored(abandoned=1, problem=problem)

    # -- writing -----------------------------------------------------------------------------------------------

    def _write(self) -> None:
        while self._backlog:
            record, body = self._backlog[0]
            self._append(record, body)
            self._backlog.popleft()

    def _append(self, record: records.Any, body: bytes = b"") -> None:
        header = records.encode(record)
        self._log.append(header, body)
        self.written_bytes += len(header) + len(body)

    def _tidy(self, *, starting: bool = False) -> None:
        """Delete what is no longer needed; what cannot be done now is done later."""
        if self._backlog:
            return
        try:
            self._drop_segments()
            kept = {residual_name(covered.generation) for covered in self._account.covered}
            for name in self._folder.names():
                if name.startswith("residual-") and name not in kept and (starting or self._is_old(name)):
                    self._folder.remove(name)
        except SyncError:
            raise
        except DiskError:
            pass

    def _drop_segments(self) -> None:
        floor = self._account.floor(self._log.next)
        if len(self._log.segments) > 1 and self._log.segments[1].first <= floor:
            self._append(self._account.summary(floor))
            self._log.sync()
            self._log.drop_before(floor)

    def _is_old(self, name: str) -> bool:
        # A newer one may just be being written.
        generation = name.removeprefix("residual-")
        return generation.isdigit() and int(generation) <= self._account.generation

    # -- reading -----------------------------------------------------------------------------------------------

    def _bodies(self, numbers: set[int]) -> dict[int, bytes]:
        return dict(zip(sorted(numbers), self._read(numbers), strict=True))

    def _read(self, numbers: set[int]) -> Iterator[bytes]:
        """The bodies of these records, in order, written or not."""
        written = {number for number in numbers if number < self._log.next}
        yield from bodies(self._log, written)
        for number in sorted(numbers - written):
            yield self._backlog[number - self._log.next][1]

    def _is_whole(self, covered: records.Covered) -> bool:
        name = residual_name(covered.generation)
        try:
            if self._folder.size(name) != covered.file_bytes:
                return False
            crc = 0
            for piece in self._pieces(name, covered.file_bytes):
                crc = zlib.crc32(piece, crc)
        except DiskError:
            return False
        return crc == covered.crc

    def _pieces(self, name: str, size: int) -> Iterator[bytes]:
        for start in range(0, size, _PIECE_BYTES):
            yield self._folder.read(name, start, min(_PIECE_BYTES, size - start))


def residual_name(generation: int) -> str:
    """The file of one residual."""
    return f"residual-{generation}"
