"""A new rate travels to each device on its own stream, and figures that cannot be decide nothing."""

import dataclasses

import pytest

from thinwire.bench.loopback import model_of
from thinwire.client.sockets import WireMeter
from thinwire.common.codec import ValueCode
from thinwire.common.values import DeltaChunk, Echo, Outcome, Plan, Verdict

TEMPORAL = ("density.policy=temporal", "density.window=1", "density.ladder=[0.3, 0.1]", "density.down=0.02")


async def test_a_rate_that_changes_is_told_on_every_stream_and_to_operators(open_fleet) -> None:
    async with open_fleet(*TEMPORAL) as fleet, fleet.stream() as stream:
        welcome = await stream.join()
        assert welcome.plan.density == 0.3
        # Its first two deltas are two windows; with the second there is a gain, and the ladder goes down.
        for seq in (1, 2):
            await stream.deliver(fleet.delta(seq))
        plan = await stream.hear_a(Plan)
        assert plan == dataclasses.replace(welcome.plan, density=0.1)
        assert (await fleet.neighbour.stream.hear_a(Plan)).density == 0.1
        status = await fleet.status()
        assert [(group.density, group.devices) for group in status.groups] == [(0.1, 2)]
        # It was 0.02 at a rate of 0.05 and keeps that ratio.
        assert status.density_down == pytest.approx(0.04)
        assert fleet.counted("thinwire_group_density_ratio", group="0") == 0.1
        assert fleet.counted("thinwire_group_devices", group="0") == 2
        assert fleet.counted("thinwire_group_devices", group="7") == 0


async def test_whoever_comes_later_is_welcomed_with_the_rate_of_today(open_fleet) -> None:
    async with open_fleet(*TEMPORAL) as fleet:
        async with fleet.stream() as stream:
            await stream.join()
            for seq in (1, 2):
                await stream.deliver(fleet.delta(seq))
            await stream.hear_a(Plan)
        async with fleet.stream("newcomer") as stream:
            assert (await stream.join()).plan.density == 0.1


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf"), 3e38])
@pytest.mark.parametrize("energy", [float("nan"), float("inf"), -1.0, 3e38])
async def test_figures_that_cannot_be_are_as_if_they_were_not_told(open_fleet, loss: float, energy: float) -> None:
    async with open_fleet(*TEMPORAL) as fleet, fleet.stream() as stream:
        await stream.join()
        for seq in (1, 2, 3):
            chunk = next(fleet.delta(seq).chunks(0))
            assert chunk.header is not None
            header = dataclasses.replace(chunk.header, loss=loss, energy=energy)
            await stream.say(DeltaChunk(seq, 0, chunk.data, header, end=True))
            assert (await stream.hear_a(Outcome)).verdict is Verdict.ACCEPTED
        assert [group.density for group in (await fleet.status()).groups] == [0.3]


async def test_the_bytes_that_are_counted_are_those_on_the_socket_while_the_rate_changes(open_fleet) -> None:
    """Within two percent of framing, and what HTTP/2 says now and then."""
    steep = (*TEMPORAL, "density.ladder=[1.0, 0.3]", "density.max=1.0", "density.up=1.0")
    async with open_fleet(*steep, model=model_of(100_000)) as fleet, fleet.stream() as stream:
        meter = WireMeter(fleet.serving.port)
        density = (await stream.join()).plan.density
        # The neighbour in this process is on another socket to the same port, and silent from here on.
        counted = (await fleet.status()).packed_bytes_up
        before, _ = meter.sample()
        densities = []
        for seq in range(1, 7):
            densities.append(density)
            await stream.deliver(fleet.delta(seq, density=density, code=ValueCode.FP32))
            if seq == 2:
                density = (await stream.hear_a(Plan)).density
        await stream.say(Echo(b"settle"))
        await stream.hear_a(Echo)
        after, _ = meter.sample()
        assert densities == [1.0, 1.0, 0.3, 0.3, 0.3, 0.3]
        counted = (await fleet.status()).packed_bytes_up - counted
        assert counted < after - before < 1.02 * counted + 4000
