"""The shell around the agent's core: what the disk says comes back before anything else, and a failed sync ends it."""

import random
from typing import Any

from thinwire.client.agent import Agent
from thinwire.client.core import AgentCore
from thinwire.client.events import Opened, Received, Tick, TrainerSaid
from thinwire.client.metrics import AgentMetrics
from thinwire.client.spool import Spool
from thinwire.client.store import Store
from thinwire.common import frames
from thinwire.common.backoff import Backoff
from thinwire.common.exits import Exit
from thinwire.common.values import DeltaChunk, FromDevice, Plan, Welcome
from thinwire.sim.disk import SimFolder


class Silent:
    """A trainer or a link that takes everything."""

    pid = None

    def __init__(self) -> None:
        self.said: list[FromDevice] = []

    def say(self, word: FromDevice) -> None:
        self.said.append(word)

    async def start(self, effect: object) -> None: ...

    async def drain(self) -> None: ...

    def tell(self, frame: object, body: bytes = b"") -> None: ...


class Disk:
    """The state of an agent, on a disk in memory."""

    def __init__(self, folder: SimFolder) -> None:
        self.store, self.spool = Store(folder), Spool(folder)


async def training(folder: SimFolder) -> tuple[Agent, Silent]:
    link: Any = Silent()
    state: Any = Disk(folder)
    meter: Any = None
    core = AgentCore("device", "test", random.Random(1), Backoff(), state.store.restored)
    agent = Agent(core, link, state, meter, AgentMetrics())
    agent.trainer = link
    core.handle(Tick(), 0.0)
    welcome = Welcome(b"l" * 16, 1, "t", "{}", b"L" * 8, Plan(), 0)
    ready = frames.Ready(layout_hash=(b"L" * 8).hex(), parameters=1, examples=1)
    for event in (Opened(), Received(welcome), said(ready)):
        await agent._handle(event)
    return agent, link


def said(frame: frames.FromTrainer, body: bytes = b"") -> TrainerSaid:
    return TrainerSaid(frame, body)


def delta(seq: int) -> TrainerSaid:
    return said(frames.SealedFrame(seq=seq, buffer_bytes=0, steps=1, loss=0.0), b"delta")


async def test_a_delta_leaves_when_it_is_safe() -> None:
    folder = SimFolder("device", random.Random(1))
    agent, link = await training(folder)
    syncs = folder.syncs
    await agent._handle(delta(1))
    assert folder.syncs == syncs + 1
    assert isinstance(link.said[-1], DeltaChunk)


async def test_a_full_disk_lets_nothing_leave_and_does_not_end_the_agent() -> None:
    folder = SimFolder("device", random.Random(1))
    agent, link = await training(folder)
    folder.full = True
    await agent._handle(delta(1))
    assert not any(isinstance(word, DeltaChunk) for word in link.said)
    assert agent.core.custody.trouble
    assert agent._quit is None


async def test_a_sync_that_failed_ends_the_agent_with_nothing_sent() -> None:
    folder = SimFolder("device", random.Random(1))
    agent, link = await training(folder)
    folder.fail(after=1)
    await agent._handle(delta(1))
    assert not any(isinstance(word, DeltaChunk) for word in link.said)
    assert agent._quit is not None
    assert agent._quit.exit_code == Exit.DISK
    assert "start the agent again" in agent._quit.message
