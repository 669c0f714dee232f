"""What a device may never forget or say twice: who it is, what it sealed, what became of that, where its residual lies.

Decisions only; the store does the writing. The order of the records is what holds it together: a delta leaves when its
seal is safe, and then all that came before it is, too. So a trainer may be told of a refund before the refund is
safe: whatever it makes of the refund comes after it in the log, and a power cut loses both.
"""

from __future__ import annotations

from thinwire.client import residuals
from thinwire.client.effects import Effect, Flush, Note, Persist, Tell
from thinwire.client.events import DiskRefused, Recovered
from thinwire.client.outbox import Outbox, SealedDelta
from thinwire.client.store import Included, Joined, Led, Restored, Sealed, Settled
from thinwire.common import frames
from thinwire.common.values import Hello, Outcome, Verdict, Welcome

RETRY_S = 5.0


class Custody:
    """The durable side of an agent's decisions."""

    def __init__(self, restored: Restored, residual_every: int) -> None:
        self.lineage, self.epoch, self.leader_epoch = restored.lineage, restored.epoch, restored.leader_epoch
        self.version = restored.version
        self.outbox = restored.outbox
        self.abandoned, self.forgotten_cuts = restored.abandoned, 0
        self.trouble = ""
        self.flush_at: float | None = None
        self.schedule = residuals.ResidualSchedule(restored.generation, residual_every)

    # -- who it is ---------------------------------------------------------------------------------------------

    def hello(self, device: str, software: str) -> Hello:
        """How the device greets."""
        return Hello(
            device,
            lineage=self.lineage,
            epoch=self.epoch,
            unsettled=self.outbox.identities(),
            software=software,
            sealed_through=self.outbox.kept_through,
            settled_through=self.outbox.settled_through,
            version=self.version,
            leader_epoch=self.leader_epoch,
        )

    def knows(self, welcome: Welcome) -> bool:
        """Whether the device goes on in the lineage and epoch that it is in."""
        return (self.lineage, self.epoch) == (welcome.lineage, welcome.epoch)

    def outranks(self, welcome: Welcome) -> bool:
        """Whether a later coordinator than this one has spoken in this lineage."""
        return welcome.lineage == self.lineage and welcome.leader_epoch < self.leader_epoch

    def follow(self, welcome: Welcome) -> list[Effect]:
        """The same training goes on, perhaps under a coordinator that was started again."""
        if welcome.leader_epoch <= self.leader_epoch:
            return []
        self.leader_epoch = welcome.leader_epoch
        return [Persist(Led(leader_epoch=welcome.leader_epoch))]

    def begin(self, welcome: Welcome) -> list[Effect]:
        """Another training, or another life in it: what was sealed before can never count."""
        self.abandoned += self.outbox.undecided
        self.outbox = Outbox()
        self.lineage, self.epoch, self.leader_epoch = welcome.lineage, welcome.epoch, welcome.leader_epoch
        self.version = 0
        return [
            Persist(Joined(lineage=welcome.lineage, epoch=welcome.epoch, leader_epoch=welcome.leader_epoch))
        ]

    # -- what it sealed ----------------------------------------------------------------------------------------

    def seal(self, frame: frames.SealedFrame, payload: bytes) -> list[Effect]:
        """The trainer cut a delta: from here on its bytes never change."""
        delta = SealedDelta.seal(
            frame.seq,
            payload,
            buffer_bytes=frame.buffer_bytes,
            steps=frame.steps,
            loss=frame.loss,
            energy=frame.energy,
        )
        self.outbox.add(delta)
        record = Sealed(
            seq=frame.seq,
            version=self.version,
            sha256=delta.header.sha256,
            buffer_bytes=frame.buffer_bytes,
            steps=frame.steps,
            loss=frame.loss,
            energy=frame.energy,
        )
        return [Persist(record, payload)]

    def settle(self, outcome: Outcome) -> list[Effect]:
        """The coordinator has decided; empty when that is no news."""
        delta = self.outbox.find(outcome.seq)
        if delta is None or delta.accepted:
            return []
        accepted, refund = outcome.verdict is Verdict.ACCEPTED, 0
        if accepted:
            self.outbox.accept(outcome.seq)
        else:
            self.outbox.drop(outcome.seq)
            if outcome.refund:
                self.outbox.refunds += 1
                refund = self.outbox.refunds
        record = Settled(
            seq=outcome.seq,
            accepted=accepted,
            reason=outcome.reason.name,
            refund=refund,
            message=outcome.message[:200],
        )
        return [Persist(record)]

    def include(self, through: int, version: int) -> list[Effect]:
        """The base has come to `version`, which holds the accepted deltas up to `through`."""
        self.version = max(self.version, version)
        return [Persist(Included(through=through, version=version))] if self.outbox.include(through) else []

    # -- where its residual lies -------------------------------------------------------------------------------

    def adopt(self, saved: frames.ResidualSaved) -> list[Effect]:
        """The trainer has saved its residual, or could not."""
        if saved.problem:
            return [Note("warning", f"the residual was not saved, the last one stands: {saved.problem}")]
        return [Persist(residuals.covered(saved))]

    def save_after_cut(self, now: float) -> list[Effect]:
        """Whether the residual is due now that a delta was cut."""
        frame = self.schedule.cut(self.outbox.refunds, now)
        return [Tell(frame)] if frame else []

    def save_by_time(self, steps: int, now: float) -> list[Effect]:
        """Whether it is due by the time."""
        frame = self.schedule.look(steps, self.outbox.refunds, now)
        return [Tell(frame)] if frame else []

    def save_now(self, now: float) -> list[Effect]:
        """The agent is about to end."""
        return [Tell(self.schedule.ask(self.outbox.refunds, now))]

    def recovered(self, event: Recovered) -> list[Effect]:
        """A new trainer has what there is."""
        self.forgotten_cuts += event.forgotten_cuts
        if not event.problem and not event.forgotten_cuts:
            return []
        reason = f" ({event.problem})" if event.problem else ""
        lost = f"what {event.forgotten_cuts} cuts left unsent is forgotten"
        return [Note("warning" if reason else "info", f"the residual of the trainer before is back{reason}; {lost}")]

    # -- what the disk says ------------------------------------------------------------------------------------

    def refused(self, event: DiskRefused, now: float) -> list[Effect]:
        """Records wait in memory; nothing leaves that was not written."""
        first, self.trouble = not self.trouble, event.reason
        self.flush_at = now + RETRY_S
        note = f"DEVICE_STORAGE: {event.reason}; deltas wait in memory and are not sent until there is room again"
        return [Note("warning", note)] if first else []

    def persisted(self) -> tuple[list[SealedDelta], list[Effect]]:
        """All is safe: what may leave now."""
        trouble, self.trouble, self.flush_at = self.trouble, "", None
        note: list[Effect] = [Note("info", "DEVICE_STORAGE is over: all is written")] if trouble else []
        return self.outbox.keep(), note

    def tick(self, now: float) -> list[Effect]:
        """Try again."""
        if self.flush_at is None or now < self.flush_at:
            return []
        self.flush_at = None
        return [Flush()]
