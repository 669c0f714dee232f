"""Every decision of the coordinator, without network, clock or await: events and the time go in, effects come out.

    Greeted            -> Recognised                        who is it, and what became of its deltas
    Subscribed, Left   -> (Published)                       who takes part
    DeltaSealed        -> Settled, (Published), (Evaluate)  admit, fold, commit
    Evaluated          -> (Finished), (Evaluate)            is the target reached
    Tick               -> (Published)                       a deadline has passed

The gRPC service and the in-process world drive this very class. State is a pure function of the events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import ValueCode
from thinwire.common.values import Outcome, RejectReason, Sealed, Verdict
from thinwire.server.admit import Admission, Admitted, Rejected
from thinwire.server.fold import Fold, Statistics, staleness_weight
from thinwire.server.ledger import Ledger, LedgerError
from thinwire.server.model import Commit, DivergedError, GlobalModel
from thinwire.server.outer import Outer
from thinwire.server.policy import BufferView, CommitPolicy
from thinwire.server.roster import Roster

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How this training is run; see docs/configuration.md for each."""

    policy: CommitPolicy
    density_down: float = 0.1
    values_down: ValueCode = ValueCode.LOG3
    denominator: str = "all"
    weights: str = "uniform"
    staleness: str = "none"
    staleness_power: float = 0.5
    server_learning_rate: float = 1.0
    server_momentum: float = 0.0
    min_devices: int = 1
    max_commits: int = 0
    target_accuracy: float = 0.0
    patience: int = 2
    evaluate: bool = True
    evaluate_every: int = 1


@dataclass(frozen=True, slots=True)
class Greeted:
    """A device opened a stream; `epoch` is 0 unless its deltas belong to this lineage."""

    device: str
    epoch: int
    unsettled: tuple[Sealed, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A device's trainer is ready."""

    device: str
    examples: int


@dataclass(frozen=True, slots=True)
class Left:
    """A device's stream is gone."""

    device: str


@dataclass(frozen=True, slots=True)
class DeltaSealed:
    """A whole delta arrived, and its bytes hash to what the device sealed."""

    device: str
    epoch: int
    seq: int
    sha256: bytes
    payload: bytes
    buffer_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The model at `version` was measured; metrics are empty when it could not be."""

    version: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Tick:
    """The time that `deadline` named has come."""


Event = Greeted | Subscribed | Left | DeltaSealed | Evaluated | Tick


@dataclass(frozen=True, slots=True)
class Recognised:
    """The epoch of a device, and outcomes of what it asked about."""

    device: str
    epoch: int
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """A delta has its outcome; tell the device. `repeated` when it is not news."""

    device: str
    outcome: Outcome
    staleness: int = 0
    packed_bytes: int = 0
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A device's delta cannot be judged at all: its number or its claims are impossible. End the stream."""

    device: str
    message: str


@dataclass(frozen=True, slots=True)
class Opened:
    """Enough devices are here: the training begins, and snapshots may go out."""


@dataclass(frozen=True, slots=True)
class Published:
    """A new version."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Measure this model; the arrays are copies."""

    version: int
    weights_P: Vector
    buffers_B: Vector


@dataclass(frozen=True, slots=True)
class Finished:
    """The training is over at this version."""

    version: int
    reason: str


Effect = Recognised | Settled | Refused | Opened | Published | Evaluate | Finished


class CoordinatorCore:
    """One training run: roster, ledger, fold, model and the rules between them."""

    def __init__(self, rules: Rules, model: GlobalModel, admission: Admission) -> None:
        self.rules, self.model, self.admission = rules, model, admission
        self.roster = Roster(rules.weights)
        self.ledger = Ledger()
        self.phase = "starting"
        self.reason = ""
        self.metrics: dict[str, float] = {}
        self.evaluated_version = -1
        self._fold = Fold(model.layout.size, rules.denominator)
        self._statistics = Statistics(model.buffer_layout.size)
        self._outer = Outer(rules.server_learning_rate, rules.server_momentum)
        self._contributors: set[str] = set()
        self._opened_at = self._now = 0.0
        self._evaluating = False
        self._hits = 0

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
            case Greeted():
                return self._greet(event)
            case Subscribed():
                self.roster.join(event.device, event.examples)
                return self._open(now) + self._commit_if_ready(now)
            case Left():
                self.roster.leave(event.device)
                return self._commit_if_ready(now)
            case DeltaSealed():
                return self._take(event) + self._commit_if_ready(now)
            case Evaluated():
                return self._judge(event) + self._commit_if_ready(now)
            case Tick():
                return self._commit_if_ready(now)

    def status(self) -> str:
        """What the training waits for, in words."""
        if self.phase == "starting":
            return f"{self.roster.live} of {self.rules.min_devices} devices are ready"
        return self.rules.policy.waits_for(self._view()) if self.phase == "training" else self.reason

    def _greet(self, event: Greeted) -> list[Effect]:
        epoch = self.ledger.open(event.device, event.epoch)
        # Only a device that goes on with its epoch can have deltas here; numbers start again in a new one.
        asked = event.unsettled if epoch == event.epoch else ()
        try:
            return [Recognised(event.device, epoch, self.ledger.recall(event.device, epoch, asked))]
        except LedgerError as error:
            return [Refused(event.device, str(error))]

    def _open(self, now: float) -> list[Effect]:
        if self.phase != "starting" or self.roster.live < self.rules.min_devices:
            return []
        self.phase, self.reason, self._opened_at = "training", "enough devices are here", now
        return [Opened(), *self._evaluation_due()]

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
        return [self._settle(event, self._admit(event))]

    def _admit(self, event: DeltaSealed) -> Admitted | Rejected:
        if self.phase == "finished":
            return Rejected(RejectReason.FINISHED, f"the training is over: {self.reason}", refund=False)
        return self.admission.judge(event.payload, event.buffer_bytes, self.model.version)

    def _settle(self, event: DeltaSealed, verdict: Admitted | Rejected) -> Settled:
        member = self.roster.members[event.device]
        staleness = 0
        if isinstance(verdict, Admitted):
            staleness = self.model.version - verdict.base
            self._add(event.device, verdict, staleness)
            member.accepted += 1
            outcome = Outcome(event.seq, Verdict.ACCEPTED)
        else:
            member.rejected += 1
            outcome = Outcome(event.seq, Verdict.REJECTED, verdict.reason, verdict.refund, verdict.message)
        self.ledger.settle(event.device, event.sha256, outcome)
        return Settled(event.device, outcome, staleness, len(event.payload))

    def _add(self, device: str, delta: Admitted, staleness: int) -> None:
        share = self.roster.share(device)
        discount = staleness_weight(self.rules.staleness, staleness, self.rules.staleness_power)
        self._fold.add(delta.index_K, delta.value_K, share * discount)
        if delta.buffers_B is not None:
            self._statistics.add(delta.buffers_B, share)
        self._contributors.add(device)

    # -- commits -----------------------------------------------------------------------------------------------

    def _view(self) -> BufferView:
        return BufferView(self._fold.count, len(self._contributors), self.roster.live, self._opened_at)

    def _may_commit(self) -> bool:
        # While the model of a target reached is measured once more, it must hold still.
        return self.phase == "training" and not self._confirming

    @property
    def _confirming(self) -> bool:
        return self._evaluating and self._hits >= self.rules.patience

    def _commit_if_ready(self, now: float) -> list[Effect]:
        if not self._may_commit() or not self.rules.policy.ready(self._view(), now):
            return []
        folded = self._fold.count
        step_P = self._outer.step(self._fold.close())
        self._contributors.clear()
        self._opened_at = now
        try:
            commit = self.model.publish(
                step_P, self._statistics.close(), self.rules.density_down, self.rules.values_down
            )
        except DivergedError as error:
            return [self._finish(f"diverged: {error}")]
        commit = Commit(
            commit.version, commit.payload, commit.buffer_bytes, commit.kept, folded, self.ledger.news()
        )
        effects: list[Effect] = [Published(commit)]
        if self.rules.max_commits and commit.version >= self.rules.max_commits:
            effects.append(self._finish(f"{commit.version} commits were asked for"))
        return effects + self._evaluation_due()

    def _finish(self, reason: str) -> Finished:
        self.phase, self.reason = "finished", reason
        return Finished(self.model.version, reason)

    # -- evaluation --------------------------------------------------------------------------------------------

    def _evaluation_due(self) -> list[Effect]:
        fresh = self.model.version - self.evaluated_version
        last = self.phase == "finished" and fresh > 0
        if not self.rules.evaluate or self._evaluating or not (last or fresh >= self.rules.evaluate_every):
            return []
        self._evaluating = True
        return [Evaluate(self.model.version, self.model.weights_P.copy(), self.model.buffers_B.copy())]

    def _judge(self, event: Evaluated) -> list[Effect]:
        self._evaluating = False
        self.evaluated_version, self.metrics = event.version, event.metrics
        target = self.rules.target_accuracy
        if self.phase == "training" and target:
            hit = event.metrics.get("accuracy", 0.0) >= target
            self._hits = self._hits + 1 if hit else 0
            if self._hits >= self.rules.patience and event.version == self.model.version:
                return [self._finish(f"the target accuracy {target:g} is reached")]
        # With the target met by an older version, the newest one is measured before the training may end.
        if self._hits >= self.rules.patience and event.version < self.model.version:
            self._evaluating = True
            return [Evaluate(self.model.version, self.model.weights_P.copy(), self.model.buffers_B.copy())]
        return self._evaluation_due()
