"""The coordinator's window to torch: a child process that builds the task's model and measures it.

The coordinator itself never imports torch. It asks the child twice: once for the layout and the first weights, then
after commits for what the model is worth.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from thinwire.common.child import Child, how_it_ended
from thinwire.common.errors import TaskError
from thinwire.common.frames import Frame, FrameError, FrameReader, encode
from thinwire.common.layout import Layout

Vector = NDArray[np.float32]


class Describe(Frame, frozen=True):
    """Build the task's model from this seed and describe it."""

    task: str
    params: dict[str, object]
    seed: int


class Measure(Frame, frozen=True):
    """Measure the model whose parameters and statistics are in the body, as float32."""

    version: int


class Described(Frame, frozen=True):
    """The model's layouts; the body holds its first parameters and statistics, as float32."""

    layout: str
    buffer_layout: str


class Measured(Frame, frozen=True):
    """What the model at `version` is worth."""

    version: int
    metrics: dict[str, float]


class Broken(Frame, frozen=True):
    """The task does not work; the message says why."""

    message: str


TO_EVALUATOR: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Describe | Measure)
FROM_EVALUATOR: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Described | Measured | Broken)


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A task's model before training: parameters (P,), statistics (B,)."""

    layout: Layout
    buffer_layout: Layout
    weights_P: Vector
    buffers_B: Vector


class Evaluator:
    """The child and the questions to it, one at a time."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._answers = self._listen()
        self._asking = asyncio.Lock()

    @classmethod
    async def start(cls, python: str) -> Evaluator:
        """Start the child process; do so before gRPC, though it is no fork."""
        return cls(await Child.start("thinwire.server.evaluate", python=python))

    async def describe(self, task: str, params: dict[str, object], seed: int) -> ModelDescription:
        """Have the model built; raise TaskError when the task does not work."""
        answer, body = await self._ask(Describe(task=task, params=params, seed=seed))
        layout, buffer_layout = Layout.from_json(answer.layout), Layout.from_json(answer.buffer_layout)
        values = np.frombuffer(body, np.float32)
        return ModelDescription(layout, buffer_layout, values[: layout.size], values[layout.size :])

    async def measure(self, version: int, weights_P: Vector, buffers_B: Vector) -> dict[str, float]:
        """What the model is worth; raise TaskError when the task cannot say."""
        answer, _ = await self._ask(Measure(version=version), weights_P.tobytes() + buffers_B.tobytes())
        return dict(answer.metrics)

    async def close(self) -> None:
        """End the child."""
        await self._child.close()

    async def _ask(self, question: Frame, body: bytes = b"") -> tuple[Any, bytes]:
        async with self._asking:
            self._child.write(encode(question, body))
            with suppress(StopAsyncIteration):
                answer, answer_body = await anext(self._answers)
                if isinstance(answer, Broken):
                    raise TaskError(answer.message)
                return answer, answer_body
            raise TaskError(f"the evaluator ended with {how_it_ended(await self._child.ended())}")

    async def _listen(self) -> Any:
        reader = FrameReader(FROM_EVALUATOR)
        try:
            async for data in self._child.read():
                for frame in reader.feed(data):
                    yield frame
        except FrameError as error:
            self._child.kill()
            raise TaskError(f"the evaluator spoke no frames: {error}") from None
