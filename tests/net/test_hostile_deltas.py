"""Deltas that lie are refused or rejected with a reason, allocate nothing, and change nothing but their own account."""

import dataclasses
import hashlib

import pytest

from thinwire.bench.loopback import model_of
from thinwire.bench.scripted import delta_of
from thinwire.common.codec import ValueCode
from thinwire.common.values import (
    CommitChunk,
    DeltaChunk,
    DeltaHeader,
    Echo,
    Outcome,
    RefusalReason,
    RejectReason,
    Sealed,
    Verdict,
)

GIB = 1 << 30


def sealed_again(payload: bytes, seq: int = 1, **fields: int) -> list[DeltaChunk]:
    """A delta of these bytes with an honest hash, whatever they are."""
    header = DeltaHeader(len(payload), hashlib.sha256(payload).digest(), **fields)
    return [DeltaChunk(seq, 0, payload, header, end=True)]


async def outcome_of(fleet, chunks: list[DeltaChunk]) -> Outcome:
    async with fleet.stream() as stream:
        await stream.join()
        await stream.say(*chunks)
        return await stream.hear_a(Outcome)


async def test_ten_gibibytes_do_not_fit_the_header(fleet) -> None:
    """`total_bytes` is 32 bits; what is announced in more is cut by protobuf and then does not add up."""
    announced = b"\x1a\x0a\x08\x01\x22\x06\x08" + varint(10 * GIB)
    refusal = await fleet.refuses(announced, join=True)
    assert refusal.reason in (RefusalReason.TOO_LARGE, RefusalReason.BAD_REQUEST)


def varint(number: int) -> bytes:
    """A protobuf number."""
    low = [number >> shift & 0x7F for shift in range(0, max(1, number.bit_length()), 7)]
    return bytes([part | 0x80 for part in low[:-1]] + low[-1:])


async def test_a_delta_announced_as_four_gibibytes_is_refused_with_the_limit_and_held_nowhere(fleet) -> None:
    chunk = DeltaChunk(1, 0, bytes(1000), DeltaHeader(4 * GIB - 1, bytes(32)))
    refusal = await fleet.refuses(chunk, join=True)
    assert refusal.reason is RefusalReason.TOO_LARGE
    assert refusal.message == "delta 1 announces 4294967295 bytes; 1 to 33554432 are taken"
    async with fleet.stream() as stream:
        assert (await stream.greet()).staged == ()


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (DeltaChunk(1, 0, b"", DeltaHeader(0, bytes(32))), "delta 1 announces 0 bytes; 1 to 33554432 are taken"),
        (DeltaChunk(1, 0, b"x", DeltaHeader(9, bytes(31))), "a SHA-256 of 31 bytes"),
        (DeltaChunk(1, 0, b"x", DeltaHeader(9, bytes(33))), "sha256 has length 33; at most 32 is taken"),
        (DeltaChunk(1, 0, b"x"), "delta 1 goes on at byte 0, but nothing is held here"),
        (
            DeltaChunk(1, 5, b"x", DeltaHeader(9, bytes(32))),
            "delta 1 goes on at byte 5, but 0 bytes of delta 1 is held here",
        ),
        (DeltaChunk(1, 0, bytes(10), DeltaHeader(9, bytes(32))), "delta 1 is longer than the 9 bytes announced"),
        (DeltaChunk(1, 0, bytes(8), DeltaHeader(9, bytes(32)), end=True), "delta 1 ends after 8 of 9 bytes"),
    ],
)  # fmt: skip
async def test_chunks_that_do_not_add_up_are_refused(fleet, chunk: DeltaChunk, message: str) -> None:
    refusal = await fleet.refuses(chunk, join=True)
    assert refusal.message == message


async def test_a_delta_before_subscribing_is_refused(fleet) -> None:
    async with fleet.stream() as stream:
        await stream.greet()
        await stream.say(*fleet.delta(1).chunks(0))
        assert (await stream.ending()).words[-1].message == "a delta came before the device subscribed"


async def test_a_delta_for_another_model_is_rejected_as_such(fleet) -> None:
    other = model_of(fleet.model.layout.size + 1)
    outcome = await outcome_of(fleet, delta_of(other.layout, 1).chunks(0))
    assert (outcome.verdict, outcome.reason, outcome.refund) == (Verdict.REJECTED, RejectReason.WRONG_LAYOUT, False)
    assert other.layout.hash.hex() in outcome.message
    assert fleet.model.layout.hash.hex() in outcome.message
    assert fleet.counted("thinwire_deltas_rejected_total", reason="wrong_layout") == 1


async def test_a_delta_made_on_a_version_of_the_future_is_rejected(fleet) -> None:
    outcome = await outcome_of(fleet, fleet.delta(1, base=2).chunks(0))
    assert (outcome.reason, outcome.refund) == (RejectReason.UNKNOWN_VERSION, False)
    assert outcome.message == "made on version 2, but 1 is the newest"


async def test_a_delta_that_is_too_old_goes_back_into_the_residual(open_fleet) -> None:
    async with open_fleet("aggregation.max_staleness=1") as fleet:
        await fleet.neighbour.trains_on()
        outcome = await outcome_of(fleet, fleet.delta(1, base=0).chunks(0))
        assert (outcome.reason, outcome.refund) == (RejectReason.TOO_STALE, True)
        # The neighbour's deltas are all made on version 0, so only a fresh one can pass from here on.
        fleet.neighbour.base = fleet.version


async def test_values_far_beyond_the_clip_norm_are_rejected(open_fleet) -> None:
    async with open_fleet("aggregation.clip_norm=0.002") as fleet:
        before = fleet.version
        outcome = await outcome_of(fleet, fleet.delta(1, density=0.1, code=ValueCode.FP32).chunks(0))
        assert (outcome.verdict, outcome.reason) == (Verdict.REJECTED, RejectReason.BAD_VALUES)
        assert fleet.version == before


async def test_more_values_than_the_plan_allows_are_rejected(fleet) -> None:
    outcome = await outcome_of(fleet, fleet.delta(1, density=0.5).chunks(0))
    assert outcome.reason is RejectReason.BAD_FORMAT
    assert "10000 kept values; 1 to 2000 are allowed" in outcome.message


@pytest.mark.parametrize("payload", [b"x", bytes(100), b"TWB1" + bytes(96)], ids=["one byte", "zeros", "magic"])
async def test_bytes_that_are_no_delta_are_rejected_once_and_for_all(fleet, payload: bytes) -> None:
    outcome = await outcome_of(fleet, sealed_again(payload))
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECTED, RejectReason.BAD_FORMAT)


@pytest.mark.parametrize("buffer_bytes", [1, 100, 2**32 - 1])
async def test_statistics_that_are_not_there_are_rejected(fleet, buffer_bytes: int) -> None:
    outcome = await outcome_of(fleet, sealed_again(fleet.delta(1).payload, buffer_bytes=buffer_bytes))
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECTED, RejectReason.BAD_FORMAT)


async def test_each_bit_of_a_delta_is_covered(fleet) -> None:
    """An honest hash over damaged bytes: the codec's own checks must catch it."""
    honest = fleet.delta(1).payload
    async with fleet.stream() as stream:
        await stream.join()
        for seq, place in enumerate(range(0, len(honest), len(honest) // 16), start=1):
            damaged = bytearray(honest)
            damaged[place] ^= 1 << place % 8
            await stream.say(*sealed_again(bytes(damaged), seq))
            assert (await stream.hear_a(Outcome)).verdict is Verdict.REJECTED
    assert fleet.version == 1


async def test_bytes_damaged_on_the_way_settle_nothing_and_can_be_sent_again(fleet) -> None:
    delta = fleet.delta(1)
    damaged = dataclasses.replace(delta, payload=delta.payload[:-1] + bytes([delta.payload[-1] ^ 1]))
    async with fleet.device() as device:
        async with device.dial() as stream:
            welcome = await stream.join()
            await stream.say(*damaged.chunks(0))
            refusal = (await stream.ending()).words[-1]
            assert refusal.message == "delta 1 does not hash to what was sealed; it was damaged on the way"
            assert not refusal.fatal
        async with device.dial() as stream:
            asked = [Sealed(1, delta.header.sha256)]
            again = await stream.greet(welcome.lineage, welcome.epoch, asked)
            assert (again.epoch, again.outcomes, again.staged) == (welcome.epoch, (), ())
            assert (await stream.deliver(delta)).verdict is Verdict.ACCEPTED


async def test_a_number_with_other_bytes_is_refused(fleet) -> None:
    async with fleet.stream() as stream:
        await stream.join()
        await stream.deliver(fleet.delta(1))
        version = fleet.version
        await stream.say(*fleet.delta(1, density=0.02).chunks(0))
        assert (await stream.ending()).words[-1].message == "delta 1 came before with other bytes"
        assert fleet.version == version


@pytest.mark.parametrize("seq", [0, 2, 2**64 - 1])
async def test_a_number_that_is_not_due_is_refused(fleet, seq: int) -> None:
    delta = dataclasses.replace(fleet.delta(1), seq=seq)
    refusal = await fleet.refuses(*delta.chunks(0), join=True)
    assert refusal.reason is RefusalReason.BAD_REQUEST
    assert str(seq) in refusal.message


async def test_a_duplicate_gets_the_first_outcome_and_changes_the_model_once(fleet) -> None:
    delta = fleet.delta(1)
    async with fleet.stream() as stream:
        await stream.join()
        first = await stream.deliver(delta)
        version = fleet.version
        assert await stream.deliver(delta) == first
        assert fleet.version == version
    assert fleet.counted("thinwire_deltas_total", outcome="repeated") == 1


async def test_a_duplicate_of_a_rejection_is_rejected_alike(fleet) -> None:
    delta = fleet.delta(1, base=77)
    async with fleet.stream() as stream:
        await stream.join()
        first = await stream.deliver(delta)
        assert (await stream.deliver(delta), first.verdict) == (first, Verdict.REJECTED)


async def test_a_delta_of_an_epoch_that_is_over_cannot_be_slipped_in(fleet) -> None:
    """A device that starts anew numbers from 1 again; the old numbers are another account."""
    delta = fleet.delta(1)
    async with fleet.device() as device:
        async with device.dial() as stream:
            first = await stream.join()
            await stream.deliver(delta)
        async with device.dial() as stream:
            second = await stream.join()
            assert second.epoch == first.epoch + 1
        async with device.dial() as stream:
            third = await stream.greet(first.lineage, first.epoch, [Sealed(1, delta.header.sha256)])
            assert third.epoch == second.epoch + 1
            assert third.outcomes == ()


async def test_a_hundred_partial_deltas_stay_within_the_memory_for_them(open_fleet) -> None:
    sets = ("limits.max_delta_bytes=100000", "limits.staged_bytes=200000")
    async with open_fleet(*sets) as fleet:
        async with fleet.stream("first") as first, fleet.stream("second") as second, fleet.stream("third") as third:
            for stream in (first, second, third):
                await stream.join()
                await stream.say(DeltaChunk(1, 0, bytes(50_000), DeltaHeader(90_000, bytes(32))), Echo(b"held"))
                await stream.hear_a(Echo)
        held = [await staged_bytes(fleet, name) for name in ("first", "second", "third")]
        assert held == [0, 50_000, 50_000]


async def staged_bytes(fleet, name: str) -> int:
    """What a device's Welcome says is held of its delta 1."""
    async with fleet.stream(name) as stream:
        welcome = await stream.greet(fleet.neighbour.welcome.lineage, 1)
        return sum(part.received_bytes for part in welcome.staged)


async def test_a_rejected_delta_is_settled_by_the_next_commit_too(fleet) -> None:
    """Or its device would carry it as pending for ever."""
    async with fleet.stream() as stream:
        await stream.join()
        await stream.deliver(fleet.delta(1, base=77))
        await stream.deliver(fleet.delta(2))
        headers = []
        while not headers or headers[-1].included_through < 2:
            headers.append((await stream.hear_a(CommitChunk)).header)
        assert headers[-1].included_through == 2
