"""A coordinator, a neighbour who means well, and whoever else the test brings; all over real gRPC on loopback.

Whatever a stranger does, the neighbour's next delta must be accepted: `fleet` checks that when a test is over.

Tests may import `grpc_line`: with pytest's importlib mode their own folder is not on the path.
"""

import asyncio
import inspect
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest
import pytest_asyncio

from thinwire.bench.loopback import Serving, model_of, serving, settings_of
from thinwire.bench.scripted import Ending, ScriptedDevice, Stream, delta_of
from thinwire.client.outbox import SealedDelta
from thinwire.common.address import Address
from thinwire.common.link import LinkProfile
from thinwire.common.values import CommitChunk, FromDevice, Refusal, Verdict, Welcome
from thinwire.demo.link import Link
from thinwire.server.evaluator import ModelDescription
from thinwire.v1 import operator_pb2, operator_pb2_grpc

PARAMETERS = 20_000
sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for all: grpc.aio is made for one a process."""
    for item in items:
        if "tests/net" in item.path.as_posix() and inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@dataclass(slots=True)
class Neighbour:
    """A well-behaved device whose session is open all the time."""

    stream: Stream
    welcome: Welcome
    model: ModelDescription
    seq: int = 0
    base: int = 0

    async def trains_on(self) -> None:
        """Its next delta is accepted, and a commit comes of it."""
        self.seq += 1
        outcome = await self.stream.deliver(delta_of(self.model.layout, self.seq, base=self.base))
        assert (outcome.seq, outcome.verdict) == (self.seq, Verdict.ACCEPTED)
        await self.stream.hear_a(CommitChunk)


@dataclass(slots=True)
class Fleet:
    """What a test has around it."""

    serving: Serving
    model: ModelDescription
    neighbour: Neighbour
    credentials: grpc.ChannelCredentials | None = None

    def device(self, name: str = "stranger", *, port: int = 0) -> ScriptedDevice:
        """A device on a connection of its own, which may lead through a link at `port`."""
        address = f"127.0.0.1:{port}" if port else self.serving.address
        return ScriptedDevice(address, name, credentials=self.credentials)

    @asynccontextmanager
    async def stream(self, name: str = "stranger") -> AsyncIterator[Stream]:
        """A stream on a connection of its own, on which nothing is said yet."""
        async with self.device(name) as device, device.dial() as stream:
            yield stream

    @asynccontextmanager
    async def link(self, profile: LinkProfile | None = None) -> AsyncIterator[Link]:
        """A way to the coordinator that can be cut; a fast one unless told otherwise."""
        async with Link(Address("127.0.0.1", self.serving.port), profile) as link:
            yield link

    def delta(self, seq: int, **how: object) -> SealedDelta:
        """A sealed delta for the model that is trained here."""
        return delta_of(self.model.layout, seq, **how)

    async def refuses(self, *words: FromDevice | bytes, join: bool = False) -> Refusal:
        """Say these words on a new stream, and be refused for it, in one word and without noise."""
        async with self.stream() as stream:
            if join:
                await stream.join()
            await stream.say(*words)
            return last_refusal(await stream.ending())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that is about to be true."""
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110  # what is waited for knows nothing of tests
                await asyncio.sleep(0.005)

    @property
    def version(self) -> int:
        """The version of the model at the coordinator."""
        return self.serving.coordinator.core.model.version

    def connected(self, name: str = "stranger") -> bool:
        """Whether the coordinator has an open session with a device."""
        return name in self.serving.coordinator.sessions

    def counted(self, metric: str, **labels: str) -> float:
        """What a counter of the coordinator shows."""
        return self.serving.coordinator.metrics.registry.get_sample_value(metric, labels) or 0.0

    async def status(self) -> operator_pb2.GetStatusResponse:
        """What an operator is answered."""
        async with grpc.aio.insecure_channel(self.serving.address) as channel:
            return await operator_pb2_grpc.OperatorServiceStub(channel).GetStatus(operator_pb2.GetStatusRequest())


def last_refusal(ending: Ending) -> Refusal:
    """The refusal that ended a stream."""
    assert ending.code is grpc.StatusCode.OK, ending
    refusal = ending.words[-1]
    assert isinstance(refusal, Refusal), ending
    return refusal


OpenFleet = Callable[..., AbstractAsyncContextManager[Fleet]]


@asynccontextmanager
async def opened(
    *sets: str, model: ModelDescription | None = None, credentials: grpc.ChannelCredentials | None = None
) -> AsyncIterator[Fleet]:
    """A coordinator that commits after each delta, with a neighbour; other settings have the last word."""
    model = model or model_of(PARAMETERS)
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(model, settings_of("aggregation.mode=async", *sets)))
        device = await stack.enter_async_context(ScriptedDevice(served.address, "neighbour", credentials=credentials))
        stream = await stack.enter_async_context(device.dial())
        neighbour = Neighbour(stream, await stream.join(), model)
        await neighbour.trains_on()
        yield Fleet(served, model, neighbour, credentials)
        before = served.coordinator.core.model.version
        await neighbour.trains_on()
        assert served.coordinator.core.model.version == before + 1


@pytest.fixture(autouse=True)
def no_tracebacks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A peer's misbehaviour is a warning in words, never an error of ours."""
    yield
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    # gRPC's own word for a client that vanished while the status of its call was on the way.
    assert [record for record in errors if "ExecuteBatchError raised in core" not in record.getMessage()] == []


@pytest_asyncio.fixture(loop_scope="session")
async def fleet() -> AsyncIterator[Fleet]:
    """A coordinator with a small model, a neighbour, and one version so far."""
    async with opened() as fleet:
        yield fleet


@pytest.fixture
def open_fleet() -> OpenFleet:
    """For a test that needs settings or a model of its own."""
    return opened
