"""The agent and its trainer: the model on its way in, deltas on their way out, and trainers that die."""

import pytest
from agent_story import LAYOUT, Story, one, snapshot_chunk, the, told, words

from thinwire.client.effects import Dial, Effect, GiveBase, HangUp, Quit, Send, Spool, StartTrainer
from thinwire.client.events import Opened
from thinwire.common import frames
from thinwire.common.exits import Exit
from thinwire.common.values import CommitChunk, CommitHeader, Staged, Subscribe

PACKED = bytes(range(250)) * 4


def test_a_ready_trainer_subscribes_without_a_model(story: Story) -> None:
    story.dial()
    story.welcome()
    assert words(story.ready()) == [Subscribe(has_base=False, examples=7)]


def test_another_model_than_the_coordinators_ends_the_agent(story: Story) -> None:
    story.dial()
    story.welcome()
    quit = one(the(story.ready(b"M" * 8), Quit))
    assert quit.exit_code == Exit.TRAINING
    assert LAYOUT.hex() in quit.message


def test_a_task_that_fails_ends_the_agent(story: Story) -> None:
    story.dial()
    story.welcome()
    assert one(the(story.says(frames.Failed(message="no data")), Quit)).message == "no data"


def test_a_snapshot_goes_to_the_spool_slice_by_slice_and_then_to_the_trainer(story: Story) -> None:
    story.dial()
    story.welcome()
    story.ready()
    first = one(the(story.hear(snapshot_chunk(3, PACKED, end=400, through=2)), Spool)).slice
    assert (first.begins, first.complete, first.data) == (True, False, PACKED[:400])
    effects = story.hear(snapshot_chunk(3, PACKED, 400, through=2))
    assert one(the(effects, Spool)).slice.complete
    assert one(the(effects, GiveBase)) == GiveBase(3, 2)


def test_a_snapshot_that_was_cut_off_goes_on_where_it_stopped(story: Story) -> None:
    story.dial()
    story.welcome()
    story.ready()
    story.hear(snapshot_chunk(3, PACKED, end=400))
    story.lose_link()
    story.dial()
    wish = one(words(story.welcome(), Subscribe))
    assert (wish.has_base, wish.snapshot_version, wish.snapshot_bytes) == (False, 3, 400)
    effects = story.hear(snapshot_chunk(3, PACKED, 400))
    assert not one(the(effects, Spool)).slice.begins
    assert the(effects, GiveBase)


def test_a_device_with_an_old_base_resumes_a_snapshot_too(story: Story) -> None:
    story.train()
    story.hear(snapshot_chunk(9, PACKED, end=100))
    story.lose_link()
    story.dial()
    wish = one(words(story.welcome(version=9), Subscribe))
    assert (wish.has_base, wish.version, wish.snapshot_version, wish.snapshot_bytes) == (True, 3, 9, 100)


def test_another_snapshot_starts_the_spool_anew(story: Story) -> None:
    story.dial()
    story.welcome()
    story.ready()
    story.hear(snapshot_chunk(3, PACKED, end=400))
    story.lose_link()
    story.dial()
    story.welcome()
    assert one(the(story.hear(snapshot_chunk(5, b"another")), Spool)).slice.begins


def test_a_commit_goes_to_the_trainer_whole(story: Story) -> None:
    story.train()
    assert told(story.hear(CommitChunk(4, 0, b"com", CommitHeader(6, 2, 1)))) == []
    effects = story.hear(CommitChunk(4, 3, b"mit"))
    assert told(effects) == [frames.CommitFrame(version=4, buffer_bytes=2, through=1)]


def test_half_a_commit_is_forgotten_with_its_stream(story: Story) -> None:
    story.train()
    story.hear(CommitChunk(4, 0, b"com", CommitHeader(6)))
    story.lose_link()
    story.dial()
    assert one(words(story.welcome(), Subscribe)).version == 3
    assert the(story.hear(CommitChunk(4, 3, b"mit")), HangUp)


def test_a_trainer_that_dies_in_mid_step_is_replaced_and_carries_what_was_sealed(story: Story) -> None:
    story.train()
    for seq in (1, 2, 3):
        story.seal(seq, b"delta %d" % seq)
    story.accept(1)
    story.lose_trainer()
    assert story.core.seat.restarts == 1
    effects = story.wait()
    assert one(the(effects, StartTrainer)).next_seq == 4
    effects = story.ready()
    assert told(effects) == [frames.Pending(seq=seq, buffer_bytes=0, accepted=seq == 1) for seq in (1, 2, 3)]
    assert one(words(effects, Subscribe)).has_base is False
    assert told(story.snapshot(6, through=1)) == [], "the base says which of them are in it"


def test_commits_that_come_while_no_trainer_is_there_are_let_go(story: Story) -> None:
    story.train()
    story.seal(1)
    story.lose_trainer()
    assert story.commit(4, through=1) == []
    assert [delta.seq for delta in story.core.outbox.pending()] == [1], "the snapshot will say that it is in"


def test_trainers_that_die_at_once_are_started_ever_more_rarely(story: Story) -> None:
    story.train()
    waits = []
    for _ in range(8):
        began = story.now
        story.lose_trainer()
        story.wait()
        waits.append(story.now - began)
    assert max(waits[:1]) <= 1.0
    assert max(waits) > 4.0
    story.ready()
    story.snapshot(4)
    story.says(frames.Applied(version=4))
    story.lose_trainer()
    assert story.core.deadline is not None
    assert story.core.deadline - story.now <= 1.0


def test_a_snapshot_that_began_to_come_for_one_trainer_serves_the_next(story: Story) -> None:
    story.dial()
    story.welcome()
    story.ready()
    story.hear(snapshot_chunk(3, PACKED, end=400))
    story.lose_trainer()
    story.wait()
    assert words(story.ready()) == [], "it is on its way"
    assert the(story.hear(snapshot_chunk(3, PACKED, 400)), GiveBase)


def test_a_snapshot_that_comes_before_the_trainer_is_asked_for_again(story: Story) -> None:
    story.train()
    story.lose_trainer()
    story.hear(snapshot_chunk(4, PACKED, end=400))
    assert not the(story.hear(snapshot_chunk(4, PACKED, 400)), GiveBase)
    story.wait()
    assert one(words(story.ready(), Subscribe)) == Subscribe(has_base=False, examples=7)


def test_a_trainer_that_lost_its_way_gets_a_snapshot(story: Story) -> None:
    story.train()
    story.seal(1)
    effects = story.says(frames.Desync(version=4, reason="checksum"))
    assert one(words(effects, Subscribe)).has_base is False
    assert story.commit(4) == [], "it follows a base that is gone"
    assert the(story.snapshot(4), GiveBase)


@pytest.mark.parametrize("refund", [True, False])
def test_a_rejection_reaches_the_trainer_once(story: Story, refund: bool) -> None:
    story.train()
    story.seal(1)
    assert told(story.reject(1, refund=refund)) == [frames.Rejection(seq=1, refund=refund)]
    assert told(story.reject(1, refund=refund)) == []
    assert story.core.outbox.pending() == []


def test_a_refund_waits_for_the_next_trainer(story: Story) -> None:
    story.train()
    story.seal(1)
    story.lose_trainer()
    assert told(story.reject(1, refund=True)) == []
    assert story.core.outbox.unsettled() == [], "it is settled, and never sent again"
    story.wait()
    assert told(story.ready()) == [frames.Refund(seq=1, buffer_bytes=0)]
    assert told(story.snapshot(4)) == []
    assert told(story.snapshot(5)) == [], "once"


def test_a_trainer_that_restarts_while_the_link_is_down_subscribes_on_the_next_stream(story: Story) -> None:
    story.train()
    story.lose_link()
    story.lose_trainer()
    effects: list[Effect] = []
    while not (the(effects, StartTrainer) and the(effects, Dial)):
        effects += story.wait()
    assert the(story.ready(), Send) == []
    story.happens(Opened())
    assert one(words(story.welcome(), Subscribe)).has_base is False


def test_the_meter_counts_transfers_that_the_trainer_computed_through(story: Story) -> None:
    story.train()
    computing = frames.Figures(
        version=3, steps=0, cuts=0, compute_s=0, wait_s=0, residual_norm=0, delay_steps=0, waiting=False
    )
    story.says(computing)
    story.now = 10.0
    story.seal(1)
    story.now = 12.0
    story.lose_trainer()
    story.now = 15.0
    story.accept(1)
    story.now = 30.0
    story.commit(4)
    assert (story.core.meter.transfer_s, story.core.meter.hidden_s) == (5.0, 2.0)


def test_goodput_is_what_came_through_between_seal_and_outcome(story: Story) -> None:
    story.train()
    story.seal(1, bytes(100_000))
    story.now += 2.0
    story.accept(1)
    assert story.core.upload.goodput.figure == pytest.approx(50_000)


def test_what_was_on_its_way_when_the_link_broke_is_measured_anew(story: Story) -> None:
    story.train()
    story.seal(1, bytes(100_000))
    story.now += 100.0
    story.lose_link()
    story.dial()
    story.now += 3.0
    story.welcome(staged=(Staged(1, 60_000),))
    story.now += 2.0
    story.accept(1)
    assert story.core.upload.goodput.figure == pytest.approx(20_000), "the rest of it, in its own time"
