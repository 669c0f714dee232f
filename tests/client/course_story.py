"""A course with a learner that counts, and everything it says; for the stories in test_course and test_course_plans."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thinwire.common import frames
from thinwire.common.codec import Packet, ValueCode, pack, quantise
from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.snapshot import Snapshot, pack_snapshot
from thinwire.common.statistics import pack_statistics
from thinwire.common.values import Plan
from thinwire.trainer.course import Course

SIZE = 6
LAYOUT = Layout((TensorSpec("w", (SIZE,)),))
BUFFERS = Layout((TensorSpec("mean", (2,)),))
PLAN = Plan(local_steps=3, density=1.0, values="fp32", window=2, learning_rate=1.0)


class Counter:
    """A learner that adds its learning rate to every weight, and its step to its statistics."""

    layout, buffer_layout = LAYOUT, BUFFERS

    def __init__(self) -> None:
        self.weights_P = np.zeros(SIZE, np.float32)
        self.buffers_B = np.zeros(2, np.float32)
        self.examples = 4
        self.rate = 0.0
        self.prepared = 0
        self.damped: list[int] = []

    def prepare(self, plan: Plan) -> None:
        self.rate, self.prepared = plan.learning_rate, self.prepared + 1

    def step(self) -> float:
        self.weights_P += np.float32(self.rate)
        self.buffers_B += 1
        return 2.0

    def damp(self, index_K: NDArray[np.int64]) -> None:
        self.damped = index_K.tolist()

    def read_buffers(self) -> np.ndarray:
        return self.buffers_B.copy()

    def write_buffers(self, buffers_B: np.ndarray) -> None:
        self.buffers_B[:] = buffers_B


class Heard:
    """A course, and what it said."""

    def __init__(self, **plan: Any) -> None:
        self.said: list[tuple[frames.FromTrainer, bytes]] = []
        self.learner = Counter()
        self.course = Course(self.learner, Plan(**{**asdict(PLAN), **plan}), 1, lambda f, b: self.said.append((f, b)))

    def take(self, kind: type[Any]) -> list[tuple[Any, bytes]]:
        found = [(frame, body) for frame, body in self.said if isinstance(frame, kind)]
        self.said.clear()
        return found

    def base(self, version: int = 0, through: int = 0) -> None:
        snapshot = Snapshot(version, np.zeros(SIZE, np.float32), np.zeros(2, np.float32))
        packed = pack_snapshot(snapshot, LAYOUT, BUFFERS)
        self.course.obey(frames.Base(path="", version=version, through=through), packed)

    def steps(self, count: int) -> None:
        for _ in range(count):
            assert self.course.may_train
            self.course.step()

    def commit(self, base: int, value: float = 0.0, through: int = 0, expected: int | None = None) -> None:
        everything = np.arange(SIZE, dtype=np.int64)
        values = np.full(SIZE, value, np.float32)
        blob = pack(Packet(LAYOUT.hash, base, SIZE, everything, quantise(values, ValueCode.FP32), expected))
        statistics = pack_statistics(np.array([7, 8], np.float32), BUFFERS, base)
        frame = frames.CommitFrame(version=base + 1, buffer_bytes=len(statistics), through=through)
        self.course.obey(frame, blob + statistics)
