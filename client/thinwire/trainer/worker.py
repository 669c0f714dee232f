"""The trainer process: a course of one task, with a pipe to the agent and a clock.

A snapshot comes as a file, so that the agent never holds a model; it is read once, then removed.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

from thinwire.common import frames
from thinwire.common.disk import OsFolder
from thinwire.tasks import DeviceInfo, load_task
from thinwire.trainer import residual
from thinwire.trainer.course import Course, plan_of
from thinwire.trainer.learner import TaskLearner
from thinwire.trainer.pipe import Pipe

# How often the agent hears figures that it did not ask for.
FIGURES_EVERY_S = 1.0


class Worker:
    """One task on one device."""

    def __init__(self, pipe: Pipe, start: frames.Start) -> None:
        self._pipe = pipe
        self._folder = OsFolder(Path(start.state_dir), lock=False)  # it is the agent's, who keeps others out
        # Half a residual of a trainer that was killed in the middle of saving it is as large as the model.
        self._folder.sweep()
        torch.set_num_threads(start.threads)
        task = load_task(start.task, start.params)
        torch.manual_seed(start.seed)
        learner = TaskLearner(task, device_of(start))
        self._course = Course(learner, plan_of(start.plan), start.next_seq, pipe.send)
        self._course.drain = self._drain
        self._figures_at = 0.0

    def run(self) -> None:
        """Train until told to stop."""
        while not self._course.stopped:
            for frame, body in self._take():
                self._obey(frame, body)
            if not self._course.stopped and self._course.may_train:
                self._step()

    def _take(self) -> list[tuple[frames.ToTrainer, bytes]]:
        course, wait = self._course, not self._course.may_train
        if wait != course.waiting:
            course.waiting = wait
            self._tell_figures()
        if not wait:
            return self._pipe.take(wait=False)
        began = time.perf_counter()
        taken = self._pipe.take(wait=True)
        # Waiting for work at the start or for more after the end is not the network's fault.
        if course.under_way:
            course.wait_s += time.perf_counter() - began
        return taken

    def _drain(self) -> None:
        for frame, body in self._pipe.take(wait=False):
            self._obey(frame, body)

    def _obey(self, frame: frames.ToTrainer, body: bytes) -> None:
        match frame:
            case frames.Base():
                self._take_base(frame)
            case frames.Restore():
                residual.load(self._folder, frame, self._course.replica)
            case frames.SaveResidual():
                self._pipe.send(residual.save(self._folder, frame, self._course.replica))
            case _:
                self._course.obey(frame, body)

    def _take_base(self, frame: frames.Base) -> None:
        path = Path(frame.path)
        try:
            packed = path.read_bytes()
            path.unlink()
        except OSError as error:
            self._course.lose_base(frame.version, f"the snapshot cannot be read: {error}")
            return
        self._course.obey(frame, packed)

    def _step(self) -> None:
        began = time.perf_counter()
        self._course.step()
        now = time.perf_counter()
        self._course.compute_s += now - began
        if now >= self._figures_at:
            self._tell_figures()

    def _tell_figures(self) -> None:
        self._figures_at = time.perf_counter() + FIGURES_EVERY_S
        self._course.tell_figures()


def device_of(start: frames.Start) -> DeviceInfo:
    """The device that a Start frame describes; the seed of its batches is another for each trainer that seals."""
    data_dir = Path(start.data_dir) if start.data_dir else None
    # Else a device whose trainer is often lost would see its first batches again and again, and never the others.
    seed = (start.seed + start.next_seq - 1) % (1 << 63)
    return DeviceInfo(start.device, start.shard, start.shards, seed, data_dir)
