"""What a trainer does: local steps without a pause, a cut every so often, commits whenever they come.

    obey frames -> (may train?) -> step -> (cut?) -> obey frames ...

It waits only when there is nothing to train on yet, when training is over, or when the plan forbids overlap and a
delta is under way. With a full window it goes on training into the next delta. A plan that rebases at the cut has
commits wait until the delta under work is cut.

No process, pipe or clock: the trainer process and the in-process world run the very same course. Whoever runs it keeps
the three figures of time up to date: `compute_s`, `wait_s`, `waiting`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from thinwire.common import checksum, frames
from thinwire.common.codec import CodecError, Limits, Packet, Unpacked, ValueCode, pack, unpack
from thinwire.common.errors import TaskError
from thinwire.common.layout import Layout
from thinwire.common.snapshot import unpack_snapshot
from thinwire.common.statistics import pack_statistics, unpack_statistics
from thinwire.common.values import Plan
from thinwire.trainer.regime import Regime, omega_of
from thinwire.trainer.replica import Replica
from thinwire.trainer.window import Window

# Commits that may wait for a cut; more come only to a device far slower than its fleet, which must not hoard them.
MOST_DEFERRED = 256

Vector = NDArray[np.float32]
Say = Callable[[frames.FromTrainer, bytes], None]


class Learner(Protocol):
    """A model and the data of one device."""

    layout: Layout
    buffer_layout: Layout
    weights_P: Vector  # the model's own memory, which `step` moves
    examples: int

    def prepare(self, plan: Plan) -> None:
        """Step by this plan's optimiser from now on."""

    def step(self) -> float:
        """Move the weights by one optimiser step on the next batch; give its loss."""

    def damp(self, index_K: NDArray[np.int64]) -> None:
        """Clear the optimiser's momentum at these coordinates (K,)."""

    def read_buffers(self) -> Vector:
        """A copy of the non-trainable statistics (B,)."""

    def write_buffers(self, buffers_B: Vector) -> None:
        """Set the statistics (B,)."""


class Course:
    """One learner's training by one coordinator's plan."""

    def __init__(
        self, learner: Learner, plan: Plan, next_seq: int, say: Say,
        unpack: Callable[[bytes, Limits], Unpacked] = unpack,
    ) -> None:  # fmt: skip
        self.learner, self.plan, self._say, self._unpack = learner, plan, say, unpack
        self.replica = Replica(learner.weights_P, omega_of(plan), next_seq)
        self._regime = Regime(learner, self.replica)
        self._regime.follow(plan)
        self.steps = self.cuts = 0
        self.compute_s = self.wait_s = 0.0
        self.waiting = True
        self.stopped = False
        self.drain: Callable[[], None] = lambda: None  # obeys all that has come in; set by whoever has the inbox
        self._steps_in_cut, self._loss_sum = 0, 0.0
        self._finish_at: int | None = None
        self._final_checksum: int | None = None
        self._deferred: deque[tuple[frames.CommitFrame, bytes]] = deque()
        self._window = Window()
        layout = learner.layout
        say(
            frames.Ready(
                layout_hash=layout.hash.hex(), parameters=layout.size, examples=learner.examples
            ),
            b"",
        )

    @property
    def under_way(self) -> bool:
        """Whether there is a model to train and training is not over."""
        return self.replica.based and self._finish_at is None

    @property
    def may_train(self) -> bool:
        """Whether a step is due now."""
        if not self.under_way:
            return False
        return self.plan.overlap or not self._window.holds(self.plan, len(self.replica.pending), self.replica.version)

    def step(self) -> None:
        """Take one local step, and cut a delta when it is time."""
        self.replica.begin_step()
        self._loss_sum += self.learner.step()
        self.replica.end_step()
        self.steps += 1
        self._steps_in_cut += 1
        if self._steps_in_cut < self.plan.local_steps:
            return
        if self.plan.taylor:
            # A commit that is here counts as on time: with it, a delay of a whole round is still undone exactly.
            self.drain()
        if self._window.has_room(self.plan, len(self.replica.pending)):
            self._cut()
        # Also with a full window: only these commits can make room in it.
        self._catch_up()

    def obey(self, frame: frames.ToTrainer, body: bytes) -> None:  # noqa: C901  # one flat table of frames
        """Do what a frame says; the body of a Base is the packed snapshot."""
        match frame:
            case frames.Base():
                self._take_base(frame, body)
            case frames.Pending():
                delta = self._delta(frame.buffer_bytes, body)
                self.replica.adopt(frame.seq, delta.index_K, delta.value_K, self.steps)
                if not frame.accepted:
                    self._window.seal(frame.seq)
            case frames.Mask():
                self.replica.mask(self._delta(frame.buffer_bytes, body).index_K)
            case frames.Refund():
                delta = self._delta(frame.buffer_bytes, body)
                self.replica.repay(delta.index_K, delta.value_K)
            case frames.CommitFrame():
                self._deferred.append((frame, body))
                if not self._defers:
                    self._catch_up()
            case frames.Rejection():
                self._window.reject(frame.seq)
                self.replica.reject(frame.seq, refund=frame.refund)
            case frames.Accepted():
                self._window.accept(frame.seq, frame.version)
            case frames.Replan():
                self._replan(plan_of(frame.plan))
            case frames.Conclude():
                self._finish_at = frame.version
                self._catch_up()
            case frames.Stop():
                self.stopped = True
        self._conclude()

    def tell_figures(self) -> None:
        """Say how the training goes; once it is over, with the full checksum of the base."""
        delays = self.replica.delays
        figures = frames.Figures(
            version=self.replica.version,
            steps=self.steps,
            cuts=self.cuts,
            compute_s=self.compute_s,
            wait_s=self.wait_s,
            residual_norm=_told(self.replica.residual_norm()),
            delay_steps=delays.last,
            delay_least=delays.percentile(0.0),
            delay_median=delays.percentile(0.5),
            delay_p95=delays.percentile(0.95),
            waiting=self.waiting,
            checksum=self._final_checksum,
        )
        self._say(figures, b"")

    def lose_base(self, version: int, reason: str) -> None:
        """Stop training until another snapshot has come."""
        self.replica.version = -1
        self._say(frames.Desync(version=version, reason=reason), b"")

    @property
    def _defers(self) -> bool:
        mid_round = 0 < self._steps_in_cut < self.plan.local_steps and len(self._deferred) <= MOST_DEFERRED
        return self.plan.rebase == "at-cut" and mid_round and self._finish_at is None

    @property
    def _limits(self) -> Limits:
        size = self.learner.layout.size
        # A dense commit in fp32 is the longest that there can be.
        return Limits(self.learner.layout.hash, size, size, max_bytes=8 * size + 4096)

    def _replan(self, plan: Plan) -> None:
        self.plan = plan
        self.replica.omega = omega_of(plan)
        # Commits that waited came to work that was done with the corrections so far.
        self._catch_up()
        self._regime.follow(plan)

    def _conclude(self) -> None:
        done = self._finish_at is not None and self.replica.version == self._finish_at
        if done and self._final_checksum is None:
            self._final_checksum = checksum.full(self.replica.base_P)
            self.tell_figures()

    # -- the base ----------------------------------------------------------------------------------------------

    def _take_base(self, frame: frames.Base, packed: bytes) -> None:
        try:
            snapshot = unpack_snapshot(packed, self.learner.layout, self.learner.buffer_layout)
        except ValueError as error:
            self.lose_base(frame.version, f"the snapshot is of no use: {error}")
            return
        self._deferred.clear()
        self.replica.rebase_on(snapshot.weights_P, snapshot.version, frame.through)
        self._window.include(frame.through)
        self.learner.write_buffers(snapshot.buffers_B)
        self._say(frames.Applied(version=snapshot.version), b"")

    def _catch_up(self) -> None:
        while self._deferred:
            self._take_commit(*self._deferred.popleft())

    def _take_commit(self, frame: frames.CommitFrame, body: bytes) -> None:
        if not self.replica.based:
            return
        split = len(body) - frame.buffer_bytes
        try:
            commit = self._unpack(body[:split], self._limits)
            self.replica.advance(
                commit.base, commit.index_K, commit.value_K, commit.checksum, frame.through, self.steps
            )
            if frame.buffer_bytes:
                self.learner.write_buffers(unpack_statistics(body[split:], self.learner.buffer_layout))
        except (CodecError, ValueError) as error:
            self.lose_base(frame.version, str(error))
            return
        self._window.include(frame.through)
        self._say(frames.Applied(version=frame.version), b"")

    # -- deltas ------------------------------------------------------------------------------------------------

    def _delta(self, buffer_bytes: int, body: bytes) -> Unpacked:
        return unpack(body[: len(body) - buffer_bytes], self._limits)

    def _cut(self) -> None:
        try:
            cut = self.replica.cut(self.plan.density, ValueCode(self.plan.values), self.steps)
        except ValueError as error:
            raise TaskError(
                f"training diverged on this device after {self.steps} local steps ({error}); "
                "lower training.learning_rate at the coordinator, or look for bad examples here"
            ) from None
        layout = self.learner.layout
        blob = pack(Packet(layout.hash, cut.base, layout.size, cut.index_K, cut.quantised, seed=cut.seed))
        statistics = pack_statistics(self.learner.read_buffers(), self.learner.buffer_layout, cut.base)
        self.cuts += 1
        self._window.seal(cut.seq)
        sealed = frames.SealedFrame(
            seq=cut.seq,
            buffer_bytes=len(statistics),
            steps=self._steps_in_cut,
            loss=_told(self._loss_sum / self._steps_in_cut),
            energy=_told(cut.energy),
        )
        self._steps_in_cut, self._loss_sum = 0, 0.0
        self._refuse_size(len(blob) + len(statistics))
        self._say(sealed, blob + statistics)

    def _refuse_size(self, delta_bytes: int) -> None:
        if delta_bytes > self.plan.max_delta_bytes:
            raise TaskError(
                f"a delta of {delta_bytes} bytes; the coordinator takes at most {self.plan.max_delta_bytes}: "
                "lower density.up or raise limits.max_delta_bytes there"
            )


def plan_of(fields: dict[str, object]) -> Plan:
    """A plan from the frame that carried it."""
    return Plan(**fields)  # type: ignore[arg-type]  # from our own agent, field by field


def _told(figure: float) -> float:
    # Frames have no word for infinity or for what is no number; a figure must not end the trainer.
    return figure if math.isfinite(figure) else 0.0
