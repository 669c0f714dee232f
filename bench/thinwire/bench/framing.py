"""What do protobuf, gRPC and HTTP/2 add to a delta's bytes on the socket?"""

from __future__ import annotations

from thinwire.bench.loopback import model_of, serving, settings_of
from thinwire.bench.rows import Row, at_most, told
from thinwire.bench.scripted import ScriptedDevice, Stream, delta_of
from thinwire.client.sockets import WireMeter
from thinwire.common.codec import ValueCode
from thinwire.common.values import CHUNK_BYTES, Echo

PARAMETERS = 400_000  # a dense delta in float32 has 25 chunks
DELTAS = 20
TARGET_PERCENT = 2.0


async def rows() -> list[Row]:
    """Send dense deltas, and hold the kernel's count against theirs."""
    model = model_of(PARAMETERS)
    async with serving(model, settings_of("density.up=1.0", "aggregation.buffer=1000000")) as served:
        device = ScriptedDevice(served.address, "device")
        stream, meter = device.dial(), WireMeter(served.port)
        await stream.join(version=0)
        before, payload, chunks = await _settled(stream, meter), 0, 0
        for seq in range(1, DELTAS + 1):
            delta = delta_of(model.layout, seq, density=1.0, code=ValueCode.FP32)
            sliced = list(delta.chunks(0))
            await stream.say(*sliced)
            payload, chunks = payload + len(delta.payload), chunks + len(sliced)
        added = await _settled(stream, meter) - before - payload
        await device.channel.close()
    source = f"{chunks} messages of {CHUNK_BYTES // 1024} KiB up; TCP payload, without its headers"
    return [
        told("transport", "added to a message", added / chunks, "B", source),
        at_most("transport", "added to a message's bytes", 100 * added / payload, "%", source, TARGET_PERCENT),
    ]


async def _settled(stream: Stream, meter: WireMeter) -> int:
    """Bytes up, once the coordinator has answered, and so acknowledged, everything before."""
    await stream.say(Echo(b"settle"))
    await stream.hear_a(Echo)
    return meter.sample()[0]
