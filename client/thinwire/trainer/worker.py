"""The trainer's loop: local steps without a pause, a cut every so often, commits whenever they come.

    take frames -> (wait?) -> step -> (cut?) -> take frames ...

It waits only when there is nothing to train on yet, when training is over, or when the plan forbids overlap and a
delta is under way. With a full window it goes on training into the next delta.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from thinwire.common import checksum, frames
from thinwire.common.codec import CodecError, Limits, Packet, ValueCode, pack, unpack
from thinwire.common.snapshot import unpack_snapshot
from thinwire.common.statistics import pack_statistics, unpack_statistics
from thinwire.common.values import Plan
from thinwire.tasks import DeviceInfo, Task, load_task
from thinwire.tasks.flat import FlatModel
from thinwire.trainer.pipe import Pipe
from thinwire.trainer.replica import Replica

# How often the agent hears figures that it did not ask for.
FIGURES_EVERY_S = 1.0


class Worker:
    """One task on one device."""

    def __init__(self, pipe: Pipe, start: frames.Start) -> None:
        self._pipe = pipe
        self.plan = Plan(**start.plan)  # type: ignore[arg-type]  # fields of a Plan, from our own agent
        torch.set_num_threads(start.threads)
        self._task: Task = load_task(start.task, start.params)
        device = device_of(start)
        torch.manual_seed(start.seed)
        self.model = FlatModel(self._task.model())
        self.replica = Replica(self.model.weights, self._omega, start.next_seq)
        self._optimizer = self._new_optimizer()
        self._batches: Iterator[Any] = iter(self._task.batches(device))
        self.steps = self.cuts = 0
        self._steps_in_cut = 0
        self._loss_sum = 0.0
        self._compute_s = self._wait_s = 0.0
        self._waiting, self._figures_at = True, 0.0
        self._finish_at: int | None = None
        self._concluded = self._done = False
        examples = self._task.examples(device)
        ready = frames.Ready(
            layout_hash=self.model.layout.hash.hex(), parameters=self.model.layout.size, examples=examples
        )
        pipe.send(ready)

    def run(self) -> None:
        """Train until told to stop."""
        self.model.module.train()
        while not self._done:
            for frame, body in self._take():
                self._obey(frame, body)
            if not self._done and self._may_train:
                self._step()
                if (
                    self._steps_in_cut >= self.plan.local_steps
                    and len(self.replica.pending) < self.plan.window
                ):
                    self._cut()

    @property
    def _omega(self) -> float:
        return self.plan.omega * self.plan.server_gain

    @property
    def _may_train(self) -> bool:
        held = not self.plan.overlap and bool(self.replica.pending)
        return self.replica.based and self._finish_at is None and not held

    def _new_optimizer(self) -> torch.optim.Optimizer:
        return self.model.optimizer(self.plan.optimizer, self.plan.learning_rate, self.plan.momentum)

    def _take(self) -> list[tuple[frames.ToTrainer, bytes]]:
        wait = not self._may_train
        if wait != self._waiting:
            self._waiting = wait
            self._tell_figures()
        if not wait:
            return self._pipe.take(wait=False)
        began = time.perf_counter()
        taken = self._pipe.take(wait=True)
        # Waiting for work at the start or for more after the end is not the network's fault.
        if self.replica.based and self._finish_at is None:
            self._wait_s += time.perf_counter() - began
        return taken

    def _obey(self, frame: frames.ToTrainer, body: bytes) -> None:
        match frame:
            case frames.Base():
                self._take_base(frame)
            case frames.Pending():
                delta = unpack(body[: len(body) - frame.buffer_bytes], self._limits)
                self.replica.adopt(frame.seq, delta.index_K, delta.value_K, self.steps)
            case frames.CommitFrame():
                self._take_commit(frame, body)
            case frames.Rejection():
                self.replica.reject(frame.seq, refund=frame.refund)
            case frames.Replan():
                self._replan(Plan(**frame.plan))  # type: ignore[arg-type]  # fields of a Plan
            case frames.Conclude():
                self._finish_at = frame.version
            case frames.Stop():
                self._done = True
        if self._finish_at is not None and self.replica.version == self._finish_at and not self._concluded:
            self._concluded = True
            self._tell_figures(checksum.full(self.replica.base_P))

    @property
    def _limits(self) -> Limits:
        size = self.model.layout.size
        # A dense commit in fp32 is the longest that there can be.
        return Limits(self.model.layout.hash, size, size, max_bytes=8 * size + 4096)

    def _replan(self, plan: Plan) -> None:
        other = (plan.optimizer, plan.learning_rate, plan.momentum) != (
            self.plan.optimizer, self.plan.learning_rate, self.plan.momentum,
        )  # fmt: skip
        self.plan = plan
        self.replica.omega = self._omega
        if other:
            self._optimizer = self._new_optimizer()

    # -- the base ----------------------------------------------------------------------------------------------

    def _take_base(self, frame: frames.Base) -> None:
        try:
            packed = Path(frame.path).read_bytes()
            snapshot = unpack_snapshot(packed, self.model.layout, self.model.buffer_layout)
        except (OSError, ValueError) as error:
            self._lose_base(frame.version, f"the snapshot is of no use: {error}")
            return
        self.replica.rebase_on(snapshot.weights_P, snapshot.version, frame.through)
        self.model.write_buffers(snapshot.buffers_B)
        self._pipe.send(frames.Applied(version=snapshot.version))

    def _take_commit(self, frame: frames.CommitFrame, body: bytes) -> None:
        if not self.replica.based:
            return
        split = len(body) - frame.buffer_bytes
        try:
            commit = unpack(body[:split], self._limits)
            self.replica.advance(
                commit.base, commit.index_K, commit.value_K, commit.checksum, frame.through, self.steps
            )
            if frame.buffer_bytes:
                self.model.write_buffers(unpack_statistics(body[split:], self.model.buffer_layout))
        except (CodecError, ValueError) as error:
            self._lose_base(frame.version, str(error))
            return
        self._pipe.send(frames.Applied(version=frame.version))

    def _lose_base(self, version: int, reason: str) -> None:
        self.replica.version = -1
        self._pipe.send(frames.Desync(version=version, reason=reason))

    # -- training ----------------------------------------------------------------------------------------------

    def _step(self) -> None:
        began = time.perf_counter()
        self.model.gradient_P.zero_()
        loss = self._task.loss(self.model.module, next(self._batches))
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        self._optimizer.step()
        self._loss_sum += float(loss.detach())
        self.steps += 1
        self._steps_in_cut += 1
        now = time.perf_counter()
        self._compute_s += now - began
        if now >= self._figures_at:
            self._tell_figures()

    def _cut(self) -> None:
        began = time.perf_counter()
        cut = self.replica.cut(self.plan.density, ValueCode(self.plan.values), self.steps)
        layout = self.model.layout
        blob = pack(Packet(layout.hash, cut.base, layout.size, cut.index_K, cut.quantised))
        statistics = pack_statistics(self.model.read_buffers(), self.model.buffer_layout, cut.base)
        self.cuts += 1
        sealed = frames.SealedFrame(
            seq=cut.seq,
            buffer_bytes=len(statistics),
            steps=self._steps_in_cut,
            loss=self._loss_sum / self._steps_in_cut,
        )
        self._steps_in_cut, self._loss_sum = 0, 0.0
        self._compute_s += time.perf_counter() - began
        self._pipe.send(sealed, blob + statistics)

    # -- figures -----------------------------------------------------------------------------------------------

    def _tell_figures(self, full_checksum: int | None = None) -> None:
        self._figures_at = time.perf_counter() + FIGURES_EVERY_S
        figures = frames.Figures(
            version=self.replica.version,
            steps=self.steps,
            cuts=self.cuts,
            compute_s=self._compute_s,
            wait_s=self._wait_s,
            residual_norm=self.replica.residual_norm(),
            delay_steps=self.replica.delay_steps,
            waiting=self._waiting,
            checksum=full_checksum,
        )
        self._pipe.send(figures)


def device_of(start: frames.Start) -> DeviceInfo:
    """The device that a Start frame describes."""
    data_dir = Path(start.data_dir) if start.data_dir else None
    return DeviceInfo(start.device, start.shard, start.shards, start.seed, data_dir)
