"""What the kernel counts on the socket is what was said, plus a known little for framing."""

from thinwire.bench.loopback import model_of
from thinwire.client.sockets import WireMeter
from thinwire.common import wire
from thinwire.common.codec import ValueCode
from thinwire.common.values import CHUNK_BYTES, CommitChunk, Echo, Outcome, SnapshotChunk, Subscribe

PARAMETERS = 100_000
# Window updates, pings of the bandwidth probe, and what HPACK has not learned yet.
CONSTANT_BYTES = 2000


def encoded(*words: object) -> int:
    return sum(wire.response(word).ByteSize() for word in words)


async def counts(meter: WireMeter, stream) -> tuple[int, int]:
    """The meter once everything that was said has been acknowledged, as an answer does."""
    await stream.say(Echo(b"settle"))
    await stream.hear_a(Echo)
    return meter.sample()


async def test_large_deltas_cost_two_percent_of_framing_at_most(open_fleet) -> None:
    async with open_fleet("density.up=1.0", model=model_of(PARAMETERS)) as fleet, fleet.stream() as stream:
        meter = WireMeter(fleet.serving.port)
        await stream.greet()
        await stream.say(Subscribe(True, fleet.version))
        before_up, _ = await counts(meter, stream)
        said = 0
        for seq in range(1, 6):
            delta = fleet.delta(seq, density=0.5, code=ValueCode.FP32)
            assert len(delta.payload) > CHUNK_BYTES
            said += sum(wire.request(chunk).ByteSize() for chunk in delta.chunks(0))
            await stream.say(*delta.chunks(0))
            await stream.hear_a(Outcome)
        after_up, _ = await counts(meter, stream)
        assert said < after_up - before_up < 1.02 * said + CONSTANT_BYTES


async def test_a_snapshot_and_commits_cost_two_percent_of_framing_at_most(open_fleet) -> None:
    async with open_fleet(model=model_of(PARAMETERS)) as fleet, fleet.stream() as stream:
        meter = WireMeter(fleet.serving.port)
        await stream.greet()
        _, before_down = await counts(meter, stream)
        await stream.say(Subscribe(False))
        heard = []
        while not isinstance(word := await stream.hear(), SnapshotChunk | CommitChunk) or len(word.data) == CHUNK_BYTES:
            heard.append(word)
        heard.append(word)
        _, after_down = await counts(meter, stream)
        assert encoded(*heard) < after_down - before_down < 1.02 * encoded(*heard) + CONSTANT_BYTES
