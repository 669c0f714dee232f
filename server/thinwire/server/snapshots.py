"""The snapshot from which a device begins: made once for all who wait, and told when its version is safe.

    the log's kept one, if the log of commits still goes on from it  >  the one under way  >  a new one

The model is copied between two events, packed in a thread, and kept on the disk for the next start.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from thinwire.common.errors import DiskError
from thinwire.server.commits import CommitLog, PackedSnapshot
from thinwire.server.recorder import Decided, Recorder
from thinwire.server.safety import Safety


class Snapshots:
    """Snapshots of one recorder's model, beside the log of its commits; `order` is that in which it takes events."""

    def __init__(self, recorder: Recorder, commits: CommitLog, safety: Safety, order: asyncio.Lock) -> None:
        self._recorder, self._commits, self._safety, self._order = recorder, commits, safety, order
        self._making: asyncio.Task[PackedSnapshot] | None = None
        kept = recorder.journal.kept() if recorder.journal else None
        if kept is not None and commits.reaches(kept.version):
            commits.keep(kept)

    async def usable(self) -> PackedSnapshot:
        """A snapshot from which the log of commits goes on.

        Who waits no longer stops nobody: it is made all the same.
        """
        if (held := self._commits.usable_snapshot) is not None:
            return held
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._make(), name="snapshot")
        return await asyncio.shield(self._making)

    async def _make(self) -> PackedSnapshot:
        # While the disk is full it could not be told, and the version would be an old one by then.
        await self._safety.room.wait()
        async with self._order:
            model, through = self._recorder.core.model, self._recorder.core.ledger.published()
            frozen = model.freeze()
            waiting = self._safety.wait(Decided([], self._recorder.last))
        made = await asyncio.to_thread(PackedSnapshot.of, frozen, model.layout, model.buffer_layout, through)
        # Nobody may hear of a version that a power cut could still undo.
        await waiting.carried_out
        if self._recorder.journal is not None:
            with suppress(DiskError):
                await asyncio.to_thread(self._recorder.journal.keep, made)
        self._commits.keep(made)
        return made
