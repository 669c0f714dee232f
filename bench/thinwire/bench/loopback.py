"""A coordinator in this very process, on a free port of loopback, for a model of any size and without torch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.settings import CoordinatorSettings, loads
from thinwire.server.coordinator import Coordinator
from thinwire.server.evaluator import ModelDescription
from thinwire.server.home import Home
from thinwire.server.prepare import begin, resume
from thinwire.server.run import serve

# The port is free, nobody is evaluated, and there are no metrics unless they are asked for.
QUIET = (
    'listen.address="127.0.0.1:0"',
    'listen.metrics=""',
    'logs.level="error"',
    "evaluation.enabled=false",
)


@dataclass(frozen=True, slots=True)
class Serving:
    """A coordinator that takes calls, and where."""

    coordinator: Coordinator
    port: int

    @property
    def address(self) -> str:
        """What devices dial."""
        return f"127.0.0.1:{self.port}"


def settings_of(*sets: str) -> CoordinatorSettings:
    """Quiet settings; `sets` are KEY=VALUE as on the command line, and have the last word."""
    return loads("", CoordinatorSettings, (*QUIET, *sets), "loopback")


def model_of(*shape: int, seed: int = 0) -> ModelDescription:
    """A model of one tensor, `weight`, whose values are random, so that no compressor makes them small."""
    layout = Layout((TensorSpec("weight", shape),))
    weights_P = np.random.default_rng(seed).standard_normal(layout.size, np.float32) * np.float32(0.05)
    return ModelDescription(layout, Layout(()), weights_P, np.zeros(0, np.float32))


@asynccontextmanager
async def serving(
    model: ModelDescription, settings: CoordinatorSettings, home: Home | None = None
) -> AsyncIterator[Serving]:
    """Serve until the block ends, on from the journal in `home`; raise what keeps the coordinator from starting."""
    kept = home.newest() if home else None
    coordinator = resume(settings, kept, None) if kept else begin(settings, model, None, home)
    stopped = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    life = asyncio.create_task(serve(coordinator, settings, stopped, port.set_result), name="coordinator")
    try:
        await asyncio.wait((life, port), return_when=asyncio.FIRST_COMPLETED)
        if port.done():
            yield Serving(coordinator, port.result())
    finally:
        stopped.set()
        await life
