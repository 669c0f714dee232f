"""A coordinator whose disk is nearly full: who is known hears what it has missed, and all else comes back later."""

import asyncio
from pathlib import Path

import pytest

from thinwire.bench.loopback import model_of, serving, settings_of
from thinwire.bench.scripted import ScriptedDevice, delta_of
from thinwire.common.values import CommitChunk, Hello, Refusal, RefusalReason, Subscribe
from thinwire.server import reserve, service
from thinwire.server.home import Home

MODEL = model_of(20_000)
USUAL = ("aggregation.buffer=1", "state.reserve=0.0")
# No disk is wholly free, so with all of it in reserve there is never room.
NO_ROOM = ("aggregation.buffer=1", "state.reserve=1.0")


async def test_a_known_device_catches_up_before_it_is_told_to_keep_its_delta(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "HOLD_S", 0.5)
    monkeypatch.setattr(reserve, "MOST_BYTES", 1 << 60)
    home = Home(tmp_path)
    async with (
        serving(MODEL, settings_of(*USUAL), home) as served,
        ScriptedDevice(served.address, "a") as device,
        device.dial() as stream,
    ):
        welcome = await stream.join(version=0)
        await stream.deliver(delta_of(MODEL.layout, 1))
    async with serving(MODEL, settings_of(*NO_ROOM), home) as served:
        async with asyncio.timeout(10):
            while not served.coordinator.safety.scarce:  # noqa: ASYNC110  # it is found out in another thread
                await asyncio.sleep(0.01)
        async with ScriptedDevice(served.address, "a") as device, device.dial() as stream:
            await stream.say(Hello("a", lineage=welcome.lineage, epoch=1, sealed_through=2, settled_through=1))
            await stream.say(Subscribe(has_base=True, version=0), *delta_of(MODEL.layout, 2).chunks(0))
            ending = await stream.ending()
        assert [word.version for word in ending.words if isinstance(word, CommitChunk)] == [1]
        held_back = ending.words[-1]
        assert isinstance(held_back, Refusal)
        assert (held_back.reason, held_back.fatal) == (RefusalReason.DISK_FULL, False)
        assert held_back.retry_after_s >= 60
        assert held_back.message.endswith("the delta is safe on the device")

        async with ScriptedDevice(served.address, "b") as device, device.dial() as stream:
            await stream.say(Hello("b"))
            [stranger] = (await stream.ending()).words
        assert isinstance(stranger, Refusal)
        assert stranger.reason is RefusalReason.DISK_FULL
        refused = served.coordinator.metrics.registry.get_sample_value
        assert refused("thinwire_streams_refused_total", {"reason": "disk_full"}) == 2
        assert (refused("thinwire_state_free_bytes") or 0) > 0
    home.close()
