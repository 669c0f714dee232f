"""What the agent does when it comes back, when the disk refuses, and when a coordinator of old speaks."""

import hashlib

from agent_story import LINEAGE, Story, one, snapshot_chunk, the, told, words

from thinwire.client.effects import Dial, HangUp, Note, Quit, Send, StartTrainer
from thinwire.client.events import Leave, SpoolRefused
from thinwire.client.intake import SnapshotIntake
from thinwire.client.leaving import LEAVE_WITHIN_S, LEAVING
from thinwire.common import frames
from thinwire.common.values import DeltaChunk, Hello, Sealed, Staged, Subscribe

LARGE = bytes(150_000)
COMPUTED = frames.Figures(
    version=3, steps=9, cuts=1, compute_s=1, wait_s=0, residual_norm=1, delay_steps=0, waiting=False
)


def test_after_a_power_cut_it_greets_as_who_it_was(story: Story) -> None:
    story.train()
    story.seal(1)
    story.seal(2, b"another")
    story.accept(1)
    story.seal(3)
    story.lose_power()
    hello = story.dial()
    assert isinstance(hello, Hello)
    assert (hello.lineage, hello.epoch, hello.version) == (LINEAGE, 1, 3)
    assert (hello.sealed_through, hello.settled_through) == (3, 1)
    assert Sealed(2, hashlib.sha256(b"another").digest()) in hello.unsettled


def test_and_goes_on_with_the_upload_that_was_cut_off(story: Story) -> None:
    story.train()
    story.seal(1, LARGE)
    story.lose_power()
    story.dial()
    effects = story.welcome(staged=(Staged(1, 100_000),))
    assert one(the(effects, StartTrainer)).next_seq == 2
    chunks = words(effects, DeltaChunk)
    assert (chunks[0].offset, chunks[0].header.sha256) == (100_000, hashlib.sha256(LARGE).digest())
    assert sum(len(chunk.data) for chunk in chunks) == 50_000
    assert told(story.ready()) == [frames.Pending(seq=1, buffer_bytes=0)]


def test_another_training_than_the_one_it_knew_is_begun_anew_and_said(story: Story) -> None:
    story.train()
    story.seal(1)
    story.seal(2)
    story.accept(1)
    story.lose_power()
    story.dial()
    effects = story.welcome(lineage=b"m" * 16)
    assert one(the(effects, StartTrainer)).next_seq == 1
    assert story.core.custody.abandoned in (1, 2), "an outcome that was not synced may be lost with the power"
    story.lose_power()
    hello = story.dial()
    assert isinstance(hello, Hello)
    assert (hello.lineage, hello.sealed_through) == (b"m" * 16, 0)


def test_a_store_that_is_damaged_makes_it_a_new_device(story: Story) -> None:
    story.train()
    story.seal(1)
    story.folder.flip("outbox-0000000000000001.log", 8 * 200)
    story.boot()
    hello = story.dial()
    assert isinstance(hello, Hello)
    assert (hello.lineage, hello.epoch, hello.unsettled) == (b"", 0, ())
    assert story.core.custody.abandoned == 1


def test_a_coordinator_that_is_older_than_one_it_knew_is_not_believed(story: Story) -> None:
    story.dial()
    story.welcome(leader_epoch=4)
    story.ready()
    story.snapshot()
    story.seal(1)
    story.lose_power()
    story.dial()
    effects = story.welcome(leader_epoch=3)
    assert "start 3, and one of start 4" in one(the(effects, HangUp)).reason
    assert not the(effects, Send)
    assert not story.core.live
    story.dial()
    assert words(story.welcome(leader_epoch=5), DeltaChunk)
    story.lose_power()
    hello = story.dial()
    assert isinstance(hello, Hello)
    assert hello.leader_epoch == 5


def test_a_full_disk_keeps_deltas_in_memory_and_unsent_until_there_is_room(story: Story) -> None:
    story.train()
    story.folder.full = True
    effects = story.seal(1)
    assert not words(effects, DeltaChunk)
    assert "DEVICE_STORAGE" in one(the(effects, Note)).message
    assert "no space left" in story.core.custody.trouble
    effects = story.seal(2)
    assert not words(effects, DeltaChunk)
    assert not the(effects, Note), "once is enough"
    assert not words(story.wait(), DeltaChunk)
    story.lose_link()
    hello = story.dial()
    assert isinstance(hello, Hello)
    assert (hello.sealed_through, hello.unsettled) == (0, ())
    assert not words(story.welcome(), DeltaChunk)
    story.folder.full = False
    sent: list[int] = []
    while story.core.deadline is not None:
        sent += [chunk.seq for chunk in words(story.wait(), DeltaChunk)]
    assert sent == [1, 2]
    assert story.core.custody.trouble == ""


def test_what_waited_in_memory_is_gone_with_the_power_and_was_never_sent(story: Story) -> None:
    story.train()
    story.seal(1)
    story.folder.full = True
    story.seal(2)
    story.folder.full = False
    story.lose_power()
    assert story.core.outbox.next_seq == 2


def test_a_snapshot_that_the_disk_refuses_is_asked_for_later_from_where_it_stopped(story: Story) -> None:
    story.dial()
    story.welcome()
    story.ready()
    packed = bytes(1000)
    story.hear(snapshot_chunk(3, packed, end=400))
    partial = SnapshotIntake()
    partial.take(snapshot_chunk(3, packed, end=300))
    effects = story.happens(SpoolRefused("full", partial))
    assert "DEVICE_STORAGE" in one(the(effects, HangUp)).reason
    assert story.core.deadline is not None
    assert story.core.deadline - story.now >= 30
    story.dial()
    assert one(words(story.welcome(), Subscribe)).snapshot_bytes == 300


def test_the_residual_is_saved_every_so_many_cuts_and_adopted_when_it_is_there() -> None:
    story = Story(residual_every=3)
    story.train()
    story.folder.replace("residual-1", [b"1234"])
    for seq in range(1, 7):
        story.now += 1.0
        asked = told(story.seal(seq))
        if seq == 3:
            assert asked == [frames.SaveResidual(file="residual-1", generation=1, refunds=0)]
            story.says(frames.ResidualSaved(generation=1, seals=3, refunds=0, file_bytes=4, crc=0x9BE3E0A3))
        elif seq < 6:
            assert asked == []
    assert asked == [frames.SaveResidual(file="residual-2", generation=2, refunds=0)], "never answered"
    story.lose_power()
    story.dial()
    story.welcome()
    restored = [frame for frame in told(story.ready()) if not isinstance(frame, frames.Pending)]
    assert restored == [
        frames.Restore(file="residual-1", crc=0x9BE3E0A3),
        *(frames.Mask(seq=seq, buffer_bytes=0) for seq in (4, 5, 6)),
    ]
    assert story.core.custody.forgotten_cuts == 3


def test_a_large_residual_is_saved_more_rarely() -> None:
    story = Story(residual_every=1)
    story.dial()
    story.welcome()
    story.says(frames.Ready(layout_hash=(b"L" * 8).hex(), parameters=11_170_000, examples=7))
    story.snapshot()
    saves = 0
    for seq in range(1, 24 * 60 + 1):
        story.now += 60.0
        saves += len([frame for frame in told(story.seal(seq)) if isinstance(frame, frames.SaveResidual)])
        story.accept(seq)
        story.commit(3 + seq, through=seq)
    assert 45 <= saves <= 52
    assert saves * 4 * 11_170_000 <= 2.4e9


def test_told_to_leave_it_saves_what_is_unsent_first(story: Story) -> None:
    story.train()
    story.says(COMPUTED)
    assert told(story.happens(Leave())) == [frames.SaveResidual(file="residual-1", generation=1, refunds=0)]
    effects = story.says(frames.ResidualSaved(generation=1, seals=0, refunds=0, file_bytes=4, crc=1))
    assert effects[-1] is LEAVING
    assert story.store.replay()


def test_a_trainer_that_does_not_answer_keeps_nobody_from_leaving(story: Story) -> None:
    story.train()
    assert the(story.happens(Leave()), Quit) == [LEAVING], "it has not learned anything"
    story.says(COMPUTED)
    story.happens(Leave())
    began = story.now
    effects = story.wait()
    while not the(effects, Quit):
        assert not the(effects, Dial)
        effects = story.wait()
    assert story.now - began <= LEAVE_WITHIN_S


def test_nor_does_one_that_dies_while_it_saves(story: Story) -> None:
    story.train()
    story.says(COMPUTED)
    story.happens(Leave())
    assert story.lose_trainer()[-1] is LEAVING
