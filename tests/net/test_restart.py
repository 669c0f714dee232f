"""A coordinator that was down goes on where it was, and what devices had half done with it, they go on with as well."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from thinwire.bench.loopback import Serving, model_of, serving, settings_of
from thinwire.bench.scripted import ScriptedDevice, delta_of
from thinwire.common.codec import ValueCode, kept_of
from thinwire.common.settings import CoordinatorSettings
from thinwire.common.values import (
    CHUNK_BYTES,
    CommitChunk,
    Echo,
    Hello,
    Outcome,
    Refusal,
    RefusalReason,
    Sealed,
    SnapshotChunk,
    Staged,
    Subscribe,
    Verdict,
)
from thinwire.server.home import Home

MODEL = model_of(60_000)
SETTINGS = settings_of("density.up=1.0", "aggregation.buffer=1")


@asynccontextmanager
async def coordinator(path: Path, settings: CoordinatorSettings = SETTINGS) -> AsyncIterator[Serving]:
    """The coordinator of this state folder, for as long as the block lasts."""
    home = Home(path)
    try:
        async with serving(MODEL, settings, home) as served:
            yield served
    finally:
        home.close()


@asynccontextmanager
async def stream_to(served: Serving):
    async with ScriptedDevice(served.address, "a") as device, device.dial() as stream:
        yield stream


async def test_version_weights_accounts_and_members_are_what_they_were(tmp_path: Path) -> None:
    async with coordinator(tmp_path) as served, stream_to(served) as stream:
        await stream.join()
        await stream.deliver(delta_of(MODEL.layout, 1))
        await stream.hear_a(CommitChunk)
        before = served.coordinator.core.state
    async with coordinator(tmp_path) as served:
        after = served.coordinator.core.state
        assert after.identity == before.identity
        assert (after.model.version, after.model.checksum) == (1, before.model.checksum)
        assert after.model.weights_P.tobytes() == before.model.weights_P.tobytes()
        assert after.model.residual_P.tobytes() == before.model.residual_P.tobytes()
        assert after.ledger.dump() == before.ledger.dump()
        assert after.roster.dump() == before.roster.dump()
        assert after.leader_epoch == before.leader_epoch + 1


async def test_an_outcome_told_before_is_told_again_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    delta = delta_of(MODEL.layout, 1)
    async with coordinator(tmp_path) as served, stream_to(served) as stream:
        welcome = await stream.join()
        await stream.deliver(delta)
    async with coordinator(tmp_path) as served, stream_to(served) as stream:
        again = await stream.greet(welcome.lineage, 1, [Sealed(1, delta.header.sha256)])
        assert [outcome.verdict for outcome in again.outcomes] == [Verdict.ACCEPTED]
        await stream.say(Subscribe(has_base=True, version=1), *delta.chunks(0))
        assert (await stream.hear_a(Outcome)).verdict is Verdict.ACCEPTED
        assert served.coordinator.core.roster.members["a"].accepted == 1


async def test_an_upload_goes_on_where_the_coordinator_went_down(tmp_path: Path) -> None:
    delta = delta_of(MODEL.layout, 1, density=1.0, code=ValueCode.FP32)
    async with coordinator(tmp_path) as served, stream_to(served) as stream:
        welcome = await stream.join()
        await stream.say(*list(delta.chunks(0))[:2], Echo(b"here?"))
        await stream.hear_a(Echo)
    async with coordinator(tmp_path) as served, stream_to(served) as stream:
        again = await stream.greet(welcome.lineage, 1, [Sealed(1, delta.header.sha256)])
        assert again.staged == (Staged(1, 2 * CHUNK_BYTES),)
        await stream.say(Subscribe(has_base=True, version=0), *delta.chunks(2 * CHUNK_BYTES))
        assert (await stream.hear_a(Outcome)).verdict is Verdict.ACCEPTED


async def test_a_snapshot_goes_on_where_the_coordinator_went_down(tmp_path: Path) -> None:
    async with coordinator(tmp_path) as served, stream_to(served) as stream:
        welcome = await stream.join()
        first = await stream.hear_a(SnapshotChunk)
        assert first.header is not None
        assert len(first.data) < first.header.total_bytes
    async with coordinator(tmp_path) as served, stream_to(served) as stream:
        await stream.greet(welcome.lineage, 1)
        await stream.say(Subscribe(has_base=False, snapshot_version=0, snapshot_bytes=len(first.data)))
        second = await stream.hear_a(SnapshotChunk)
        assert second.header is not None
        assert (second.offset, second.header.sha256) == (len(first.data), first.header.sha256)


async def test_a_device_that_is_a_little_behind_needs_no_snapshot(tmp_path: Path) -> None:
    async with coordinator(tmp_path) as served, stream_to(served) as stream:
        welcome = await stream.join()
        for seq in (1, 2, 3):
            await stream.deliver(delta_of(MODEL.layout, seq, base=seq - 1))
    async with coordinator(tmp_path) as served, stream_to(served) as stream:
        await stream.say(_hello(welcome.lineage, sealed=3))
        await stream.say(Subscribe(has_base=True, version=1))
        async with asyncio.timeout(30):
            while not isinstance(word := await stream.hear(), CommitChunk):
                assert not isinstance(word, SnapshotChunk)
        assert word.version == 2


async def test_a_device_that_knows_more_than_the_journal_is_refused_and_training_holds(tmp_path: Path) -> None:
    async with coordinator(tmp_path) as served, stream_to(served) as stream:
        welcome = await stream.join()
    async with coordinator(tmp_path) as served, stream_to(served) as stream:
        await stream.say(_hello(welcome.lineage, sealed=9, settled=9, version=9))
        refusal = await stream.hear_a(Refusal)
        assert (refusal.reason, refusal.fatal) == (RefusalReason.STATE_REGRESSED, False)
        assert "older backup" in refusal.message
        assert "thinwire rollback" in served.coordinator.core.status()


async def test_a_device_on_a_thin_link_is_not_asked_for_everything_because_its_coordinator_was_started_again(
    tmp_path: Path,
) -> None:
    settings = settings_of("density.up=1.0", "density.link_aware=true", "aggregation.buffer=1")
    delta = delta_of(MODEL.layout, 1, density=0.02)
    async with coordinator(tmp_path, settings) as served, stream_to(served) as stream:
        welcome = await stream.join()
        assert welcome.plan.density == 1.0, "nobody knows its link yet"
        await stream.deliver(delta)
    async with coordinator(tmp_path, settings) as served, stream_to(served) as stream:
        again = await stream.greet(welcome.lineage, 1, [Sealed(1, delta.header.sha256)])
        assert kept_of(again.plan.density, MODEL.layout.size) == kept_of(0.02, MODEL.layout.size)


async def test_a_start_that_sums_otherwise_than_before_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    momentum = ("aggregation.server_momentum=0.9", "density.policy=temporal")
    told = []
    for sets in ((), (), momentum, momentum, ()):
        caplog.clear()
        async with coordinator(tmp_path, settings_of(*sets)):
            pass
        told.append([getattr(record, "changed", "") for record in caplog.records if "other settings" in record.msg])
    assert [len(words) for words in told] == [0, 0, 1, 0, 1]
    assert "density.policy=temporal" in told[2][0]
    assert "outer.momentum=0.9" in told[2][0]
    assert "outer.learning_rate" not in told[2][0], "that is as it was"


def _hello(lineage: bytes, *, sealed: int, settled: int = 0, version: int = 0) -> Hello:
    return Hello(
        "a", lineage=lineage, epoch=1, sealed_through=sealed, settled_through=settled, version=version, leader_epoch=1
    )
