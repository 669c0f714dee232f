"""Every decision of the coordinator, without network, clock or await: events and the time go in, effects come out.

    Started            -> Write, (Evaluate)                 under which leader epoch
    Greeted            -> Recognised                        who is it, and what became of its deltas
    Subscribed, Left   -> (Published)                       who takes part
    DeltaSealed        -> Settled, (Published), (Rerated), (Evaluate)   admit, fold, commit
    Evaluated          -> (Finished), (Evaluate)            is the target reached
    Tick               -> (Published)                       a deadline has passed

What changes the run's state is an entry, applied to the state here and written to the journal by a Write that comes
before any effect that lets the world know. The gRPC service and the in-process world drive this very class.
"""

from __future__ import annotations

import numpy as np

from thinwire.common import __version__
from thinwire.common.values import Outcome, RefusalReason, RejectReason
from thinwire.server import entries
from thinwire.server.admit import Admission, Admitted, Rejected
from thinwire.server.attendance import Attendance
from thinwire.server.effects import (
    NO_ROOM_S,
    Effect,
    Finished,
    Opened,
    Published,
    Recognised,
    Refused,
    Settled,
    Write,
)
from thinwire.server.enrolment import Enrolment
from thinwire.server.events import DeltaSealed, Evaluated, Event, Greeted, Left, Started, Subscribed, Tick
from thinwire.server.fold import staleness_weight
from thinwire.server.greeting import Doubts, Recognition, recognise
from thinwire.server.ledger import LedgerError
from thinwire.server.model import DivergedError
from thinwire.server.policy import BufferView
from thinwire.server.rates import Rates
from thinwire.server.rules import Rules
from thinwire.server.state import RunState, fields_of
from thinwire.server.target import Target

# No message carries a longer text, and a checkpoint keeps one for each delta that was rejected of late.
MOST_WORDS = 1024


def refused_for_room(device: str) -> Refused:
    """The answer to a device of which something would have to be written down."""
    message = "the coordinator's disk is full, so it cannot take note of this device; come back later"
    return Refused(device, message, RefusalReason.DISK_FULL, NO_ROOM_S)


class CoordinatorCore:
    """One training run: roster, ledger, fold, model and the rules between them."""

    def __init__(self, rules: Rules, state: RunState, admission: Admission) -> None:
        self.rules, self.state, self.admission = rules, state, admission
        self.model, self.ledger, self.roster = state.model, state.ledger, state.roster
        self._doubts = Doubts()
        self._enrolment, self._attendance = Enrolment(state, rules.max_known), Attendance()
        self._opened_at = self._now = 0.0
        self._target = Target(rules, state)
        self._rates = Rates(state)

    @property
    def phase(self) -> str:
        """"starting", "training" or "finished"."""
        return self.state.phase

    @property
    def deadline(self) -> float | None:
        """When the core next wants a Tick; None for never."""
        at = self.rules.policy.deadline(self._view()) if self._may_commit() else None
        # One that has passed without a commit stays passed: only an event can help now.
        return at if at is not None and at > self._now else None

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event at loop time `now` (seconds, monotonic) and say what is to be done."""
        self._now = now
        # Sums may overflow on the way; what is not finite is refused where it would be published.
        with np.errstate(over="ignore", invalid="ignore"):
            return self._react(event, now)

    def _react(self, event: Event, now: float) -> list[Effect]:
        match event:
            case Started():
                return self._start(event, now)
            case Greeted():
                return self._greet(event) + self._commit_if_ready(now)
            case Subscribed():
                return self._join(event) + self._open(now) + self._commit_if_ready(now)
            case Left():
                self.roster.leave(event.device)
                self._attendance.go(event.device, answered=event.device in self.state.contributors)
                self._rates.leave(event.device)
                return self._commit_if_ready(now)
            case DeltaSealed():
                return self._take(event) + self._commit_if_ready(now)
            case Evaluated():
                return self._judge(event) + self._commit_if_ready(now)
            case Tick():
                return self._commit_if_ready(now)

    def recall(self, event: Greeted) -> Recognised | Refused:
        """Recognise a device without writing anything; one that is not known as it says is refused for now."""
        known = recognise(event, self.ledger.row(event.device), self.model.version, self.state.leader_epoch)
        if known is not Recognition.KNOWN:
            return refused_for_room(event.device)
        self._doubts.withdraw(event.device)
        outcomes = self.ledger.recall(event.device, event.epoch, event.unsettled)
        return self._recognised(event.device, event.epoch, outcomes)

    def share(self, device: str) -> float:
        """p_i: what a member's deltas count for, of 1."""
        return self.roster.share(device, by_examples=self.rules.weights == "examples")

    @property
    def set_back(self) -> bool:
        """Whether devices know of later versions than there are here, so that the training holds."""
        return self._doubts.grave

    def status(self) -> str:
        """What the training waits for, in words."""
        if self.phase == "finished":
            return self.state.reason
        if self._doubts.grave:
            return self._doubts.words(self.model.version)
        if self.phase == "starting":
            return f"{self.roster.live} of {self.rules.min_devices} devices are ready"
        return self.rules.policy.waits_for(self._view())

    def _start(self, event: Started, now: float) -> list[Effect]:
        self._opened_at = now
        outer = self.rules.sums(self.admission.max_staleness)
        led = entries.Led(
            leader_epoch=event.leader_epoch, software=__version__, denominator=self.rules.denominator, outer=outer,
            density=fields_of(self.rules.density),
        )  # fmt: skip
        self.state.lead(led)
        self._attendance.expect(self.state.took_part | self.state.contributors)
        return [Write(led), *(self._go_on() if self.phase != "starting" else [])]

    def _go_on(self) -> list[Effect]:
        # The process before may have ended between what ended the training and the word that it is over.
        if self.phase == "training" and (reason := self._end_of_commits()):
            return self._finish(reason) + self._target.due()
        return self._after_judgement() if self.rules.evaluate else []

    # -- devices -----------------------------------------------------------------------------------------------

    def _greet(self, event: Greeted) -> list[Effect]:
        match recognise(event, self.ledger.row(event.device), self.model.version, self.state.leader_epoch):
            case Recognition.AHEAD:
                self._doubts.claim(event)
                return [Refused(event.device, self._doubts.words(self.model.version), RefusalReason.STATE_REGRESSED)]
            case Recognition.KNOWN:
                self._doubts.withdraw(event.device)
                outcomes = self.ledger.recall(event.device, event.epoch, event.unsettled)
                return [self._recognised(event.device, event.epoch, outcomes)]
            case lost:
                return self._begin_epoch(event.device, lost.value)

    def _begin_epoch(self, device: str, lost: str) -> list[Effect]:
        # Before anything is remembered of it.
        if unknown := self._enrolment.refuse_name(device):
            return [unknown]
        self._doubts.withdraw(device)
        begun = self._enrolment.begin(device, lost, self._now)
        if isinstance(begun, Refused):
            return [begun]
        return [Write(begun), self._recognised(device, begun.epoch, (), lost)]

    def _recognised(self, device: str, epoch: int, outcomes: tuple[Outcome, ...], lost: str = "") -> Recognised:
        return Recognised(device, epoch, outcomes, lost, self._rates.greet(device))

    def _join(self, event: Subscribed) -> list[Effect]:
        joined = self._enrolment.join(event.device, event.examples, self._now)
        if isinstance(joined, Refused):
            return [joined]
        self.roster.join(event.device)
        self._attendance.come(event.device)
        return [Write(joined)] if joined else []

    def _open(self, now: float) -> list[Effect]:
        if self.phase != "starting" or self.roster.live < self.rules.min_devices:
            return []
        self._opened_at = now
        self.state.open()
        return [Write(entries.Opened()), Opened(), *self._target.due()]

    # -- deltas ------------------------------------------------------------------------------------------------

    def _take(self, event: DeltaSealed) -> list[Effect]:
        if event.device not in self.roster.members:
            return [Refused(event.device, "a delta came before the device subscribed")]
        try:
            first = self.ledger.known(event.device, event.epoch, event.seq, event.sha256)
            if first is not None:
                return [Settled(event.device, first, repeated=True)]
            if event.seq != self.ledger.next_seq(event.device):
                raise LedgerError(f"delta {event.seq} came, but {self.ledger.next_seq(event.device)} is next")
        except LedgerError as error:
            return [Refused(event.device, str(error))]
        return self._settle(event, self._admit(event))

    def _admit(self, event: DeltaSealed) -> Admitted | Rejected:
        if self.phase == "finished":
            return Rejected(RejectReason.FINISHED, f"the training is over: {self.state.reason}", refund=False)
        if self.phase == "starting":
            # From a device that trained before this coordinator was set back: what it counts for is not known yet.
            return Rejected(RejectReason.UNKNOWN_VERSION, "the training has not begun here", refund=True)
        verdict = self.admission.judge(event.payload, event.buffer_bytes, self.model.version)
        if isinstance(verdict, Rejected):
            return verdict
        return self._refuse_outlier(event.device, verdict) or verdict

    def _refuse_outlier(self, device: str, delta: Admitted) -> Rejected | None:
        state, refuse = self.state, self.admission.refuse_outlier
        if refused := refuse(delta.norm, state.norms.usual(device)):
            return refused
        found = delta.buffers_norm
        return None if found is None else refuse(found, state.buffers_norms.usual(device), "statistics")

    def _settle(self, event: DeltaSealed, verdict: Admitted | Rejected) -> list[Effect]:
        if isinstance(verdict, Rejected):
            return self._reject(event, verdict)
        staleness = self.model.version - verdict.base
        share = self.share(event.device)
        discount = staleness_weight(self.rules.staleness, staleness, self.rules.staleness_power)
        entry = entries.Admitted(
            device=event.device, epoch=event.epoch, seq=event.seq, sha256=event.sha256, base=verdict.base,
            weight=share * discount, share=share, clip=verdict.clip, norm=verdict.norm,
            buffers_norm=verdict.buffers_norm, buffer_bytes=event.buffer_bytes, loss=event.loss, energy=event.energy,
        )  # fmt: skip
        outcome = self.state.admit(entry, verdict)
        self._attendance.answer(event.device, live=self.roster.members[event.device].live)
        settled = Settled(event.device, outcome, staleness, len(event.payload), len(verdict.index_K))
        return [Write(entry, event.payload), settled]

    def _reject(self, event: DeltaSealed, verdict: Rejected) -> list[Effect]:
        entry = entries.Rejected(
            device=event.device, epoch=event.epoch, seq=event.seq, sha256=event.sha256,
            reason=verdict.reason, refund=verdict.refund, message=verdict.message[:MOST_WORDS],
        )  # fmt: skip
        return [Write(entry), Settled(event.device, self.state.reject(entry), 0, len(event.payload))]

    # -- commits -----------------------------------------------------------------------------------------------

    def _view(self) -> BufferView:
        state, here = self.state, self._attendance
        answered, live = len(state.contributors), self.roster.live
        return BufferView(state.fold.count, answered, live, self._opened_at, here.awaited, here.absent)

    def _may_commit(self) -> bool:
        # While the model of a target reached is measured once more, it must hold still.
        return self.phase == "training" and not self._target.confirming and not self._doubts.grave

    def _commit_if_ready(self, now: float) -> list[Effect]:
        if not self._may_commit() or not self.rules.policy.ready(self._view(), now):
            return []
        until, self._opened_at = self.rules.policy.deadline(self._view()), now
        try:
            policy = self.state.density
            commit = self.state.commit(policy.down if policy else self.rules.density_down, self.rules.values_down)
        except DivergedError as error:
            return self._finish(f"diverged: {error}")
        self._attendance.close(late=until is not None and now >= until)
        entry = entries.Committed(
            version=commit.version, checksum=commit.checksum, folded=commit.folded, kept=commit.kept,
            buffer_bytes=commit.buffer_bytes, through=commit.through,
        )  # fmt: skip
        effects: list[Effect] = [Write(entry, commit.payload), Published(commit), *self._rates.changed()]
        if reason := self._end_of_commits():
            effects += self._finish(reason)
        return effects + self._target.due()

    def _end_of_commits(self) -> str:
        most = self.rules.max_commits
        return f"{self.model.version} commits were asked for" if most and self.model.version >= most else ""

    def _finish(self, reason: str) -> list[Effect]:
        entry = entries.Finished(version=self.model.version, reason=reason)
        self.state.finish(entry)
        return [Write(entry), Finished(entry.version, reason)]

    def _judge(self, event: Evaluated) -> list[Effect]:
        return [Write(self._target.judge(event)), *self._after_judgement()]

    def _after_judgement(self) -> list[Effect]:
        if self.phase == "training" and (reason := self._target.reached):
            return self._finish(reason)
        return self._target.due()
