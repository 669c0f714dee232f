"""Whoever joins, or comes back, ends with the coordinator's own model, bit for bit, for the fewest bytes.

The device here is the trainer's real Replica, with the agent's real intake before it.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest

from thinwire.bench.loopback import model_of
from thinwire.bench.scripted import Stream
from thinwire.client.intake import CommitIntake, SnapshotIntake
from thinwire.common import checksum
from thinwire.common.codec import Limits, unpack
from thinwire.common.layout import Layout
from thinwire.common.link import LinkProfile
from thinwire.common.snapshot import unpack_snapshot
from thinwire.common.values import CHUNK_BYTES, CommitChunk, SnapshotChunk, Subscribe
from thinwire.server.evaluator import ModelDescription
from thinwire.trainer.replica import Replica

PARAMETERS = 400_000  # a snapshot of 23 chunks, as random weights do not shrink


@dataclass(slots=True)
class Device:
    """A replica, the intake before it, and a count of what came."""

    model: ModelDescription
    replica: Replica
    snapshot: SnapshotIntake = field(default_factory=SnapshotIntake)
    commit: CommitIntake = field(default_factory=CommitIntake)
    spool: bytearray = field(default_factory=bytearray)
    snapshot_bytes: int = 0

    def take(self, word: object) -> None:
        """Take one word from the coordinator, as agent and trainer do together."""
        if isinstance(word, SnapshotChunk):
            self.snapshot_bytes += len(word.data)
            part = self.snapshot.take(word)
            self.spool = bytearray() if part.begins else self.spool
            self.spool += part.data
            if part.complete:
                self._rebase(part.included_through)
        elif isinstance(word, CommitChunk) and (whole := self.commit.take(word)) is not None:
            layout = self.model.layout
            commit = unpack(whole.payload, Limits(layout.hash, layout.size, layout.size))
            self.replica.advance(
                commit.base, commit.index_K, commit.value_K, commit.checksum, whole.header.included_through, steps=0
            )

    def _rebase(self, through: int) -> None:
        snapshot = unpack_snapshot(bytes(self.spool), self.model.layout, Layout(()))
        self.replica.rebase_on(snapshot.weights_P, snapshot.version, through)
        self.snapshot.forget()

    def wish(self) -> Subscribe:
        """What it says when its stream is open."""
        partial = (self.snapshot.version, self.snapshot.received_bytes)
        return Subscribe(self.replica.based, max(0, self.replica.version), *partial)

    async def follow(self, stream: Stream, version: int) -> None:
        """Take whatever comes until the replica holds that version."""
        while self.replica.version < version:
            self.take(await stream.hear())


@pytest.fixture
def large(open_fleet):
    """A coordinator with a model whose snapshot has many chunks."""
    return open_fleet(model=model_of(PARAMETERS))


def device_for(fleet) -> Device:
    return Device(fleet.model, Replica(np.zeros(fleet.model.layout.size, np.float32), omega=0.5))


def assert_the_same(fleet, device: Device) -> None:
    """Bit for bit, by the checksum that travels and by looking."""
    model = fleet.serving.coordinator.core.model
    assert (device.replica.version, device.replica.checksum) == (model.version, model.checksum)
    assert device.replica.checksum == checksum.full(device.replica.base_P)
    np.testing.assert_array_equal(device.replica.base_P, model.weights_P)


async def test_who_joins_gets_a_snapshot_and_then_every_commit(large) -> None:
    async with large as fleet, fleet.stream() as stream:
        device = device_for(fleet)
        await stream.greet()
        await stream.say(device.wish())
        await device.follow(stream, fleet.version)
        assert_the_same(fleet, device)
        for _ in range(3):
            await fleet.neighbour.trains_on()
        await device.follow(stream, fleet.version)
        assert_the_same(fleet, device)


async def test_a_snapshot_that_broke_goes_on_where_it_broke(large) -> None:
    """No byte of it comes twice, although the model moves on meanwhile."""
    async with large as fleet, fleet.device() as dialler:
        device = device_for(fleet)
        for chunks in (5, 1, 7):
            async with dialler.dial() as stream:
                await stream.greet()
                await stream.say(device.wish())
                for _ in range(chunks):
                    device.take(await stream.hear_a(SnapshotChunk))
            await fleet.neighbour.trains_on()
        assert device.snapshot.received_bytes == 13 * CHUNK_BYTES
        async with dialler.dial() as stream:
            await stream.greet()
            await stream.say(device.wish())
            await device.follow(stream, fleet.version)
        assert_the_same(fleet, device)
        packed = fleet.serving.coordinator.commits.snapshot.packed
        assert device.snapshot_bytes == len(packed) > 20 * CHUNK_BYTES


async def test_a_snapshot_over_a_link_that_breaks_costs_little_more_than_one(large) -> None:
    """Here the bytes are counted on the link, where some are lost with each break."""
    profile = LinkProfile(rtt_s=0.02, rate_bps=32e6)
    async with large as fleet, fleet.link(profile) as link:
        device = device_for(fleet)
        for break_at in (400_000, 800_000):
            async with fleet.device(port=link.port) as dialler, dialler.dial() as stream:
                await stream.greet()
                await stream.say(device.wish())
                while device.snapshot_bytes < break_at:
                    device.take(await stream.hear())
                link.drop()
                for word in (await stream.ending()).words:
                    device.take(word)
        async with fleet.device(port=link.port) as dialler, dialler.dial() as stream:
            await stream.greet()
            await stream.say(device.wish())
            await device.follow(stream, fleet.version)
        assert_the_same(fleet, device)
        packed = len(fleet.serving.coordinator.commits.snapshot.packed)
        assert device.snapshot_bytes == packed
        assert link.bytes_down < 1.5 * packed


async def test_who_was_away_for_a_while_gets_the_commits_that_it_missed(large) -> None:
    async with large as fleet, fleet.device() as dialler:
        device = device_for(fleet)
        async with dialler.dial() as stream:
            await stream.greet()
            await stream.say(device.wish())
            await device.follow(stream, fleet.version)
        before = device.snapshot_bytes
        for _ in range(4):
            await fleet.neighbour.trains_on()
        async with dialler.dial() as stream:
            await stream.greet()
            await stream.say(device.wish())
            await device.follow(stream, fleet.version)
        assert_the_same(fleet, device)
        assert device.snapshot_bytes == before


async def test_who_was_away_for_too_long_gets_a_snapshot_that_is_smaller_than_the_commits(open_fleet) -> None:
    dense = open_fleet("density.down=1.0", "density.values_down=fp32", model=model_of(2000))
    async with dense as fleet, fleet.device() as dialler:
        device = device_for(fleet)
        async with dialler.dial() as stream:
            await stream.greet()
            await stream.say(device.wish())
            await device.follow(stream, fleet.version)
        before, first = device.snapshot_bytes, device.replica.version
        for _ in range(40):
            await fleet.neighbour.trains_on()
        async with dialler.dial() as stream:
            await stream.greet()
            await stream.say(device.wish())
            await device.follow(stream, fleet.version)
        assert_the_same(fleet, device)
        assert device.replica.version - first == 40
        assert 0 < device.snapshot_bytes - before < 3 * before


async def test_a_trainer_that_is_lost_in_mid_snapshot_gets_a_whole_one(large) -> None:
    """A second Subscribe on one stream: what was under way must not count as received."""
    async with large as fleet, fleet.stream() as stream:
        await stream.greet()
        await stream.say(Subscribe(False))
        await stream.hear_a(SnapshotChunk)
        device = device_for(fleet)
        await stream.say(device.wish())
        while (await stream.hear_a(SnapshotChunk)).header is None:
            pass  # what was on its way to the trainer that is gone
        await stream.say(device.wish())
        while not (chunk := await stream.hear_a(SnapshotChunk)).header:
            pass
        device.take(chunk)
        await device.follow(stream, fleet.version)
        assert_the_same(fleet, device)


async def test_a_base_of_the_future_is_replaced(large) -> None:
    """As after a coordinator that was restored from an older copy."""
    async with large as fleet, fleet.stream() as stream:
        device = device_for(fleet)
        await stream.greet()
        await stream.say(Subscribe(True, 10**12))
        await device.follow(stream, fleet.version)
        assert_the_same(fleet, device)


@pytest.mark.parametrize("claimed", [2**63, 3, 1])
async def test_a_partial_snapshot_that_cannot_be_is_sent_from_the_start(large, claimed: int) -> None:
    async with large as fleet, fleet.stream() as stream:
        device = device_for(fleet)
        await stream.greet()
        await stream.say(Subscribe(False, 0, 10**9, claimed))
        await device.follow(stream, fleet.version)
        assert_the_same(fleet, device)
