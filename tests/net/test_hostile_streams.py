"""Whoever does not speak as agreed is told so in one word, is counted, and harms nobody.

That nobody was harmed is checked after each test, by the neighbour of the fixture `fleet`.
"""

import asyncio
import contextlib

import grpc
import pytest

from thinwire.bench.scripted import METHOD
from thinwire.common import wire
from thinwire.common.values import (
    DeltaChunk,
    DeltaHeader,
    Echo,
    Hello,
    RefusalReason,
    Report,
    Subscribe,
    Welcome,
)
from thinwire.server import service
from thinwire.server.rules import KNOWN_PER_CONNECTED

STRANGER = Hello("stranger")


async def test_bytes_that_are_no_protobuf_are_refused(fleet) -> None:
    refusal = await fleet.refuses(b"\xff\xff\xff\xff")
    assert refusal.reason is RefusalReason.BAD_REQUEST
    assert "SessionRequest" in refusal.message
    assert fleet.counted("thinwire_streams_refused_total", reason="bad_request") == 1


async def test_bytes_that_are_no_protobuf_end_a_session_that_was_open(fleet) -> None:
    refusal = await fleet.refuses(b"\x0a\x7f", join=True)
    assert refusal.reason is RefusalReason.BAD_REQUEST
    assert not fleet.connected()


async def test_text_that_is_no_utf8_is_refused(fleet) -> None:
    refusal = await fleet.refuses(b"\x0a\x03\x0a\x01\xff")  # a Hello whose device is the byte ff
    assert refusal.reason is RefusalReason.BAD_REQUEST


@pytest.mark.parametrize("word", [b"", b"\xfa\x01\x01x"], ids=["nothing", "a kind of the future"])
async def test_a_message_of_no_known_kind_is_refused(fleet, word: bytes) -> None:
    refusal = await fleet.refuses(word)
    assert (refusal.reason, refusal.message) == (RefusalReason.BAD_REQUEST, "a message of no kind this software knows")


@pytest.mark.parametrize("word", [Subscribe(False), Report(), Echo(b""), DeltaChunk(1, 0, b"")])
async def test_the_first_word_must_be_hello(fleet, word) -> None:
    refusal = await fleet.refuses(word)
    assert (refusal.reason, refusal.message) == (
        RefusalReason.BAD_REQUEST,
        "the first word on a stream must be Hello",
    )


async def test_a_second_hello_is_refused(fleet) -> None:
    refusal = await fleet.refuses(STRANGER, STRANGER)
    assert (refusal.reason, refusal.message) == (RefusalReason.BAD_REQUEST, "a second Hello on one stream")


async def test_who_says_nothing_is_sent_away(fleet, monkeypatch) -> None:
    monkeypatch.setattr(service, "HELLO_S", 0.01)
    refusal = await fleet.refuses()
    assert "no Hello came within 0.01 s" in refusal.message


async def test_another_protocol_is_refused_for_good_with_both_numbers(fleet) -> None:
    refusal = await fleet.refuses(Hello("stranger", protocol=2))
    assert refusal.reason is RefusalReason.PROTOCOL_VERSION
    assert refusal.message == "protocol 2; this coordinator speaks 1: update the older side"
    assert refusal.fatal


@pytest.mark.parametrize("name", ["", ".", "../etc/passwd", "UPPER", "a\nb", "ä", "x" * 64, "%s", "a\x00"])
async def test_a_name_that_is_none_is_refused_for_good(fleet, name: str) -> None:
    refusal = await fleet.refuses(Hello(name))
    assert refusal.reason is RefusalReason.BAD_NAME
    assert refusal.fatal
    assert "\n" not in refusal.message


async def test_a_name_of_100_000_bytes_is_not_repeated(fleet) -> None:
    refusal = await fleet.refuses(Hello("x" * 100_000))
    assert (refusal.reason, refusal.message) == (
        RefusalReason.BAD_REQUEST,
        "device has length 100000; at most 64 is taken",
    )


@pytest.mark.parametrize(
    "word",
    [Hello("x" * 1_000_000), DeltaChunk(1, 0, bytes(262_144)), Hello("stranger", software="x" * 300_000)],
    ids=["name", "chunk", "software"],
)
async def test_a_message_above_256_kib_never_reaches_the_coordinator(fleet, word) -> None:
    async with fleet.stream() as stream:
        await stream.say(word)
        ending = await stream.ending()
    assert ending.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "262144" in ending.details


async def test_an_oversized_message_ends_a_session_that_was_open(fleet) -> None:
    async with fleet.stream() as stream:
        await stream.join()
        await stream.say(DeltaChunk(1, 0, bytes(300_000)))
        assert (await stream.ending()).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await fleet.until(lambda: not fleet.connected())


async def test_a_chunk_above_64_kib_is_refused_with_the_limit(fleet) -> None:
    chunk = DeltaChunk(1, 0, bytes(65_537), DeltaHeader(65_537, bytes(32)))
    refusal = await fleet.refuses(STRANGER, chunk)
    assert (refusal.reason, refusal.message) == (
        RefusalReason.BAD_REQUEST,
        "data has length 65537; at most 65536 is taken",
    )


async def test_the_newest_stream_of_a_device_wins(fleet) -> None:
    async with fleet.device() as device, device.dial() as older, device.dial() as newer:
        await older.join()
        await newer.join()
        [refusal] = [word for word in (await older.ending()).words if hasattr(word, "fatal")]
        assert (refusal.reason, refusal.fatal) == (RefusalReason.FENCED, False)
        assert refusal.retry_after_s >= 30
        assert (await newer.deliver(fleet.delta(1))).verdict == 1


async def test_two_streams_of_a_device_that_greet_at_once_leave_one(fleet) -> None:
    async with fleet.device() as one, fleet.device() as other, one.dial() as first, other.dial() as second:
        await asyncio.gather(first.say(STRANGER), second.say(STRANGER))
        ended = asyncio.create_task(first.ending()), asyncio.create_task(second.ending())
        [fenced], [lives] = await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        assert fenced.result().words[-1].reason is RefusalReason.FENCED
        # The newer one may still be on its way through the greeting when the older one has ended.
        await fleet.until(fleet.connected)
        assert not lives.done()
        lives.cancel()


async def test_a_word_from_a_newer_software_is_understood_as_far_as_it_goes(fleet) -> None:
    """Unknown fields are ignored, so that the next version may add some."""
    field_99 = b"\x98\x06\x01"
    hello = wire.request(STRANGER).hello.SerializeToString() + field_99
    async with fleet.stream() as stream:
        await stream.say(b"\x0a" + bytes([len(hello)]) + hello)
        assert (await stream.hear_a(Welcome)).epoch == 1


async def test_a_compressed_message_counts_as_what_it_unpacks_to(fleet) -> None:
    """64 MiB of zeros are 64 KiB in gzip."""
    async with grpc.aio.insecure_channel(fleet.serving.address, compression=grpc.Compression.Gzip) as channel:
        call = channel.stream_stream(METHOD)()
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await call.write(bytes(64 << 20))
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_metadata_above_8_kib_is_refused(fleet) -> None:
    async with grpc.aio.insecure_channel(fleet.serving.address) as channel:
        call = channel.stream_stream(METHOD)(metadata=(("x", "y" * 100_000),))
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_one_device_more_than_there_is_room_for_is_told_to_come_back(open_fleet) -> None:
    async with open_fleet("limits.max_devices=1") as fleet:
        refusal = await fleet.refuses(STRANGER)
        assert (refusal.reason, refusal.fatal) == (RefusalReason.FULL, False)
        assert refusal.retry_after_s > 0


async def test_a_device_cannot_falsify_what_operators_see_of_others(fleet) -> None:
    """Two devices that claim 2^64 - 1 bytes are more than a status can hold."""
    lie = Report(wire_sent_bytes=2**64 - 1, transfer_s=1.0, hidden_s=float("nan"), rtt_s=float("inf"), goodput_up=1e308)
    for name in ("liar-1", "liar-2"):
        async with fleet.stream(name) as stream:
            await stream.join()
            await stream.say(lie, Echo(b"heard"))
            await stream.hear_a(Echo)
    status = await fleet.status()
    assert 0.0 <= status.overlap_ratio <= 1.0
    assert fleet.counted("thinwire_device_rtt_seconds_sum") < 1e6
    assert fleet.counted("thinwire_device_goodput_bytes_per_second_sum") < 1e15


async def test_made_up_names_do_not_grow_the_ledger_without_end(open_fleet) -> None:
    async with open_fleet("limits.max_devices=2") as fleet:
        room = KNOWN_PER_CONNECTED * 2 - len(fleet.serving.coordinator.core.ledger)
        for number in range(room):
            async with fleet.stream(f"made-up-{number}") as stream:
                await stream.greet()
            await fleet.until(lambda: len(fleet.serving.coordinator.sessions) <= 1)
        refusal = await fleet.refuses(Hello("one-too-many"))
    assert (refusal.reason, refusal.retry_after_s) == (RefusalReason.FULL, 600)
    assert refusal.message.startswith("8 devices are known already")
