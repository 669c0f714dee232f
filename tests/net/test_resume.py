"""A delta whose upload breaks is gone on with where it broke; only an explicit end ends it."""

import dataclasses

import pytest

from thinwire.bench.loopback import model_of
from thinwire.client.outbox import SealedDelta
from thinwire.common.codec import ValueCode
from thinwire.common.link import LinkProfile
from thinwire.common.values import CHUNK_BYTES, DeltaChunk, Echo, Outcome, Sealed, Staged, Subscribe, Verdict

PARAMETERS = 60_000  # dense in float32, these are four chunks that no compressor makes smaller
FRAMING_BYTES = 3000  # greetings, and what HTTP/2 adds to a few hundred kilobytes


@pytest.fixture
def roomy(open_fleet):
    """A coordinator that takes dense deltas."""
    return open_fleet("density.up=1.0", model=model_of(PARAMETERS))


def large_delta(fleet, seq: int = 1) -> SealedDelta:
    delta = fleet.delta(seq, density=1.0, code=ValueCode.FP32)
    assert len(list(delta.chunks(0))) == 4
    return delta


async def send_two_chunks(fleet, device, delta: SealedDelta, how) -> None:
    """Send half of a delta, wait until the coordinator has it, and end the stream as told."""
    async with device.dial() as stream:
        await stream.join()
        await stream.say(*list(delta.chunks(0))[:2], Echo(b"here?"))
        await stream.hear_a(Echo)
        await how(stream)
    await fleet.until(lambda: not fleet.connected(device.name))
    assert fleet.serving.coordinator.core.roster.members[device.name].accepted == 0


async def go_on(fleet, device, delta: SealedDelta) -> tuple[Staged, ...]:
    """Come back, send what is missing, and have it accepted."""
    async with device.dial() as stream:
        lineage = fleet.neighbour.welcome.lineage
        welcome = await stream.greet(lineage, 1, [Sealed(delta.seq, delta.header.sha256)])
        held = {part.seq: part.received_bytes for part in welcome.staged}
        await stream.say(Subscribe(True, fleet.version), *delta.chunks(held.get(delta.seq, 0)))
        assert (await stream.hear_a(Outcome)).verdict is Verdict.ACCEPTED
        return welcome.staged


async def test_the_end_of_a_stream_is_not_the_end_of_a_delta(roomy) -> None:
    async with roomy as fleet, fleet.device() as device:
        delta = large_delta(fleet)
        await send_two_chunks(fleet, device, delta, lambda stream: stream.stop_speaking())
        assert await go_on(fleet, device, delta) == (Staged(1, 2 * CHUNK_BYTES),)


async def test_a_reset_leaves_no_session_and_no_delta_but_what_was_received(roomy) -> None:
    async with roomy as fleet, fleet.link() as link:
        delta = large_delta(fleet)

        async def reset(stream) -> None:
            link.drop()
            await stream.ending()

        async with fleet.device(port=link.port) as device:
            await send_two_chunks(fleet, device, delta, reset)
        async with fleet.device(port=link.port) as device:
            assert await go_on(fleet, device, delta) == (Staged(1, 2 * CHUNK_BYTES),)


async def test_at_most_one_chunk_travels_twice(roomy) -> None:
    """Counted in bytes, on a link that breaks three times in mid-chunk."""
    slow = LinkProfile(rtt_s=0.0, rate_bps=8e6)
    async with roomy as fleet, fleet.link(slow) as link:
        delta = large_delta(fleet)
        known = fleet.neighbour.welcome.lineage, 1, [Sealed(1, delta.header.sha256)]
        for break_at in (60_000, 130_000, 200_000):
            async with fleet.device(port=link.port) as device, device.dial() as stream:
                welcome = await stream.greet(*(known if fleet.counted("thinwire_devices_known") > 1 else ()))
                held = sum(part.received_bytes for part in welcome.staged)
                before = link.bytes_up - held
                await stream.say(Subscribe(True, fleet.version), *delta.chunks(held))
                await fleet.until(lambda before=before, at=break_at: link.bytes_up - before > at)
                link.drop()
                await stream.ending()
        async with fleet.device(port=link.port) as device:
            await go_on(fleet, device, delta)
        repeated = link.bytes_up - len(delta.payload)
        assert repeated < 3 * CHUNK_BYTES + FRAMING_BYTES


async def test_an_outcome_that_was_not_heard_is_told_in_the_next_welcome(roomy) -> None:
    async with roomy as fleet, fleet.device() as device:
        delta, before = large_delta(fleet), fleet.version
        async with device.dial() as stream:
            await stream.join()
            await stream.say(*delta.chunks(0))
            await fleet.until(lambda: fleet.version == before + 1)
        async with device.dial() as stream:
            lineage = fleet.neighbour.welcome.lineage
            welcome = await stream.greet(lineage, 1, [Sealed(1, delta.header.sha256), Sealed(2, bytes(32))])
            assert welcome.outcomes == (Outcome(1, Verdict.ACCEPTED),)
            assert welcome.staged == ()
        assert fleet.version == before + 1


async def test_a_partial_delta_of_other_bytes_does_not_mix_with_the_new_ones(roomy) -> None:
    async with roomy as fleet, fleet.device() as device:
        await send_two_chunks(fleet, device, large_delta(fleet, seq=7), lambda stream: stream.stop_speaking())
        other = dataclasses.replace(large_delta(fleet), seq=1)
        assert await go_on(fleet, device, other) == (Staged(7, 2 * CHUNK_BYTES),)


async def test_a_device_that_starts_anew_finds_nothing_of_its_old_life(roomy) -> None:
    async with roomy as fleet, fleet.device() as device:
        await send_two_chunks(fleet, device, large_delta(fleet), lambda stream: stream.stop_speaking())
        async with device.dial() as stream:
            welcome = await stream.join()
            assert (welcome.epoch, welcome.staged) == (2, ())
            assert (await stream.deliver(large_delta(fleet))).verdict is Verdict.ACCEPTED


async def test_chunks_may_be_of_any_size_up_to_64_kib(fleet) -> None:
    delta = fleet.delta(1)
    async with fleet.stream() as stream:
        await stream.join()
        for at in range(len(delta.payload)):
            header = delta.header if at == 0 else None
            await stream.say(DeltaChunk(1, at, delta.payload[at : at + 1], header, end=at == len(delta.payload) - 1))
        assert (await stream.hear_a(Outcome)).verdict is Verdict.ACCEPTED
