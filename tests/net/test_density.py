"""A new rate travels to each device on its own stream, and figures that cannot be decide nothing."""

import dataclasses

import pytest

from thinwire.common.values import DeltaChunk, Outcome, Plan, Verdict

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
