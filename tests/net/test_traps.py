"""gRPC's traps, each of which was once measured: what it does by default is not what is wanted here."""

import asyncio
from contextlib import AsyncExitStack

import grpc.aio
import pytest

from thinwire.bench.scripted import ScriptedDevice, Stream
from thinwire.client.link import GrpcLink
from thinwire.common import channel
from thinwire.common.errors import LinkError
from thinwire.common.settings import AgentSettings, loads
from thinwire.common.values import Echo, FromCoordinator, Hello, Welcome
from thinwire.server import run, service
from thinwire.v1 import operator_pb2, operator_pb2_grpc

CLIENT, SERVER = dict(channel.client_options(60.0)), dict(channel.server_options())


# -- what gRPC is told ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [CLIENT, SERVER], ids=["agent", "coordinator"])
def test_keepalive_has_all_three_numbers(options) -> None:
    """Without ping_timeout_ms a dead peer is found after 67 s, whatever keepalive_timeout_ms says."""
    assert options["grpc.keepalive_time_ms"] == 60_000
    assert options["grpc.keepalive_timeout_ms"] == options["grpc.http2.ping_timeout_ms"] <= 20_000
    assert options["grpc.http2.max_pings_without_data"] == 0


def test_the_coordinator_allows_the_pings_that_agents_send() -> None:
    """Or it ends the connection of an idle agent with "too many pings"."""
    assert SERVER["grpc.http2.min_recv_ping_interval_without_data_ms"] <= CLIENT["grpc.keepalive_time_ms"]


@pytest.mark.parametrize("options", [CLIENT, SERVER], ids=["agent", "coordinator"])
def test_the_bandwidth_probe_stays_on(options) -> None:
    """Without it, 4 MiB take 39 s instead of one on a link of 600 ms."""
    assert options.get("grpc.http2.bdp_probe", 1) == 1


def test_messages_are_bounded_on_both_sides() -> None:
    assert CLIENT["grpc.max_receive_message_length"] == SERVER["grpc.max_receive_message_length"] == 256 * 1024


# -- what gRPC then does --------------------------------------------------------------------------------------------


async def test_a_second_coordinator_on_the_same_port_is_told_why_it_cannot(fleet, open_fleet) -> None:
    """With SO_REUSEPORT, gRPC's default, it would start, and get every other device."""
    with pytest.raises(LinkError, match=f"cannot listen on 127.0.0.1:{fleet.serving.port}: another process does"):
        async with open_fleet(f'listen.address="{fleet.serving.address}"'):
            pass


async def test_1500_calls_at_once_are_all_answered(fleet) -> None:
    """Over about 1,000 pending calls, gRPC's default answers CANCELLED at random."""
    question = operator_pb2.GetStatusRequest()
    async with AsyncExitStack() as stack:
        stubs = []
        for _ in range(100):
            opened = grpc.aio.insecure_channel(fleet.serving.address, channel.client_options(60.0))
            stubs.append(operator_pb2_grpc.OperatorServiceStub(await stack.enter_async_context(opened)))
        calls = [stub.GetStatus(question) for stub in stubs for _ in range(15)]
        answers = await asyncio.gather(*calls)
    assert len(answers) == 1500
    assert {answer.version for answer in answers} == {fleet.version}


async def test_a_cancelled_call_ends_the_session_at_once(fleet) -> None:
    async with fleet.device() as device:
        stream = device.dial()
        await stream.join()
        assert fleet.connected()
        stream.hang_up()
        await fleet.until(lambda: not fleet.connected())


class Talk:
    """An agent's own link in conversation."""

    def __init__(self, port: int, name: str = "stranger", keepalive: str = "60s") -> None:
        sets = (f'coordinator.address="127.0.0.1:{port}"', f'device.name="{name}"', f'link.keepalive="{keepalive}"')
        self.link = GrpcLink(loads("", AgentSettings, sets, "the test"))
        self.welcomed = asyncio.Event()
        self._name = name

    async def talk(self) -> str:
        """Greet, and give the reason for which the stream ended."""
        try:
            return await self.link.talk(lambda: self.link.say(Hello(self._name)), self._heard)
        finally:
            await self.link.close()

    def _heard(self, word: FromCoordinator) -> None:
        if isinstance(word, Welcome):
            self.welcomed.set()


async def test_an_agent_that_hangs_up_leaves_no_session_behind(fleet) -> None:
    """An abandoned call is never collected, and the server never hears of it, unless it is cancelled."""
    talk = Talk(fleet.serving.port)
    talking = asyncio.create_task(talk.talk())
    await talk.welcomed.wait()
    talk.link.hang_up("enough")
    assert await talking == "enough"
    await fleet.until(lambda: not fleet.connected())


async def test_an_agent_that_is_stopped_leaves_no_session_behind(fleet) -> None:
    talk = Talk(fleet.serving.port)
    talking = asyncio.create_task(talk.talk())
    await talk.welcomed.wait()
    talking.cancel()
    await fleet.until(lambda: not fleet.connected())


async def test_an_agent_finds_out_that_its_link_is_a_black_hole(fleet, monkeypatch) -> None:
    """Nothing is reset, nothing arrives: only keep-alive can tell."""
    monkeypatch.setattr(channel, "PING_TIMEOUT_MS", 1000)
    async with fleet.link() as link:
        talk = Talk(link.port, keepalive="1s")
        talking = asyncio.create_task(talk.talk())
        await talk.welcomed.wait()
        link.cut()
        async with asyncio.timeout(15):
            assert "UNAVAILABLE" in await talking
        link.restore()


async def test_the_coordinator_finds_out_that_a_device_is_in_a_black_hole(open_fleet, monkeypatch) -> None:
    lowered = {"grpc.keepalive_time_ms": 1000, "grpc.keepalive_timeout_ms": 1000, "grpc.http2.ping_timeout_ms": 1000}
    monkeypatch.setattr(run, "server_options", lambda: list((SERVER | lowered).items()))
    async with open_fleet() as fleet, fleet.link() as link, fleet.device(port=link.port) as device:
        await device.dial().join()
        link.cut()
        async with asyncio.timeout(15):
            await fleet.until(lambda: not fleet.connected())
        link.restore()


async def test_a_device_that_reads_nothing_is_given_up(fleet, monkeypatch) -> None:
    """What waits for it is bounded; flow control holds back the rest."""
    monkeypatch.setattr(service, "REFUSAL_S", 0.1)
    small = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024)]
    async with ScriptedDevice(fleet.serving.address, "stranger", small) as device, device.dial() as stream:
        await stream.greet()
        asking = asyncio.create_task(ask_for_ever(stream))
        await fleet.until(lambda: not fleet.connected())
        asking.cancel()


async def ask_for_ever(stream: Stream) -> None:
    while True:
        await stream.say(Echo(bytes(16)))


async def test_a_coordinator_that_goes_down_says_so(open_fleet) -> None:
    async with AsyncExitStack() as stack:
        async with open_fleet() as fleet:
            device = await stack.enter_async_context(ScriptedDevice(fleet.serving.address, "stranger"))
            stream = device.dial()
            await stream.join()
        assert (await stream.ending()).words[-1].reason.name == "SHUTTING_DOWN"
