"""`python -m thinwire.server.evaluate FD`: the child that builds and measures the task's model, with torch."""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress

import numpy as np
import torch

from thinwire.common.errors import ThinwireError
from thinwire.common.frames import Frame, FrameReader, encode
from thinwire.server.evaluator import TO_EVALUATOR, Broken, Describe, Described, Measure, Measured
from thinwire.tasks import Task, load_task
from thinwire.tasks.flat import FlatModel


class Bench:
    """The task and its model on this side."""

    def __init__(self) -> None:
        self._task: Task | None = None
        self._model: FlatModel | None = None

    def answer(self, question: Frame, body: bytes) -> tuple[Frame, bytes]:
        """The answer to one question."""
        if isinstance(question, Describe):
            return self._describe(question)
        assert isinstance(question, Measure)
        return self._measure(question, body)

    def _describe(self, question: Describe) -> tuple[Frame, bytes]:
        torch.manual_seed(question.seed)
        self._task = load_task(question.task, question.params)
        self._model = model = FlatModel(self._task.model())
        described = Described(layout=model.layout.to_json(), buffer_layout=model.buffer_layout.to_json())
        return described, model.weights.tobytes() + model.read_buffers().tobytes()

    def _measure(self, question: Measure, body: bytes) -> tuple[Frame, bytes]:
        assert self._task is not None
        assert self._model is not None
        values = np.frombuffer(body, np.float32)
        self._model.weights[:] = values[: self._model.layout.size]
        self._model.write_buffers(values[self._model.layout.size :].copy())
        self._model.module.eval()
        with torch.no_grad():
            metrics = self._task.evaluate(self._model.module)
        # JSON has no word for what is not finite, such as the loss of a model that went astray.
        finite = {name: float(m) for name, m in metrics.items() if math.isfinite(m)}
        return Measured(version=question.version, metrics=finite), b""


def main() -> None:
    """Answer questions until the coordinator is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    os.nice(5)
    connection, reader, bench = socket.socket(fileno=int(sys.argv[1])), FrameReader(TO_EVALUATOR), Bench()
    # A coordinator that was killed leaves a broken connection behind.
    with suppress(ConnectionError):
        while data := connection.recv(256 * 1024):
            for question, body in reader.feed(data):
                answer, answer_body = _answer(bench, question, body)
                connection.sendall(encode(answer, answer_body))


def _answer(bench: Bench, question: Frame, body: bytes) -> tuple[Frame, bytes]:
    # A user's task may raise anything; it must cost an evaluation, with its traceback shown, not the training.
    try:
        return bench.answer(question, body)
    except ThinwireError as error:
        return Broken(message=str(error)), b""
    except Exception as error:
        traceback.print_exc()
        return Broken(message=f"{type(error).__name__}: {error}"), b""


if __name__ == "__main__":
    main()
