"""The agent and its link: greeting, going on after a break, another training, refusals, the end."""

import pytest
from agent_story import LINEAGE, Story, one, the, told, words

from thinwire.client.effects import Dial, GiveBase, HangUp, Quit, SendReport, StartTrainer, StopTrainer
from thinwire.common import frames
from thinwire.common.exits import Exit
from thinwire.common.values import (
    CommitChunk,
    CommitHeader,
    DeltaChunk,
    Echo,
    Finish,
    Hello,
    Outcome,
    Plan,
    Refusal,
    RefusalReason,
    RejectReason,
    Staged,
    Subscribe,
    Verdict,
)

END = Finish(version=3, reason="enough")


def test_it_dials_at_once_and_one_stream_at_a_time(story: Story) -> None:
    assert (the(story.wait(), Dial), story.now) == ([Dial()], 0.0)
    assert story.core.deadline is None


def test_the_first_hello_holds_nothing(story: Story) -> None:
    assert story.dial() == Hello("watch-1", software="test")


def test_a_welcome_starts_the_trainer_and_measures_the_round_trip(story: Story) -> None:
    story.dial()
    effects = story.welcome()
    assert one(the(effects, StartTrainer)).next_seq == 1
    assert words(effects) == [Echo(b"rtt")]
    story.now += 0.25
    story.hear(Echo(b"rtt"))
    assert story.core.upload.rtt_s == 0.25


def test_nothing_counts_before_a_welcome(story: Story) -> None:
    story.dial()
    assert one(the(story.accept(1), HangUp)).reason == "the coordinator spoke before its Welcome"


def test_each_failed_attempt_doubles_the_longest_wait_until_a_stream_was_of_use(story: Story) -> None:
    waits = []
    for _ in range(6):
        story.dial()
        story.lose_link()
        waits.append(wait_s(story))
    assert max(waits) > 2.0
    story.train()
    story.commit(4)
    story.lose_link()
    assert wait_s(story) <= 0.5


def wait_s(story: Story) -> float:
    assert story.core.deadline is not None
    return story.core.deadline - story.now


def test_after_a_break_it_goes_on_from_where_the_coordinator_holds_the_bytes(story: Story) -> None:
    story.train()
    body = bytes(range(256)) * 400
    assert [chunk.offset for chunk in words(story.seal(1, body), DeltaChunk)] == [0, 65536]
    story.lose_link()
    assert not words(story.seal(2)), "sealed while offline"
    hello = story.dial()
    assert (hello.lineage, hello.epoch) == (LINEAGE, 1)
    assert [sealed.seq for sealed in hello.unsettled] == [1, 2]
    effects = story.welcome(staged=(Staged(1, 65536),))
    assert one(words(effects, Subscribe)).version == 3
    first, second = words(effects, DeltaChunk)
    assert (first.seq, first.offset, first.data, first.end) == (1, 65536, body[65536:], True)
    assert first.header is not None
    assert first.header.sha256 == hello.unsettled[0].sha256
    assert (second.seq, second.offset, second.end) == (2, 0, True)
    assert not the(effects, StartTrainer), "the trainer never learned of it"


def test_outcomes_in_a_welcome_settle_what_was_asked(story: Story) -> None:
    story.train()
    for seq in (1, 2, 3):
        story.seal(seq)
    story.lose_link()
    story.dial()
    outcomes = (
        Outcome(1, Verdict.ACCEPTED),
        Outcome(2, Verdict.REJECTED, RejectReason.TOO_STALE, refund=True),
    )
    effects = story.welcome(outcomes=outcomes)
    assert told(effects) == [frames.Rejection(seq=2, refund=True)]
    assert [chunk.seq for chunk in words(effects, DeltaChunk)] == [3]
    assert [delta.seq for delta in story.core.outbox.pending()] == [1, 3], "1 is accepted, but not yet in the base"


def test_an_accepted_delta_is_not_asked_about_again_and_goes_with_its_commit(story: Story) -> None:
    story.train()
    story.seal(1)
    story.accept(1)
    story.lose_link()
    assert story.dial().unsettled == ()
    story.welcome()
    story.commit(4, through=1)
    assert story.core.outbox.pending() == []


@pytest.mark.parametrize("other", [{"lineage": b"m" * 16}, {"epoch": 2}], ids=["lineage", "epoch"])
def test_another_training_voids_what_was_sealed_and_starts_anew(story: Story, other: dict[str, object]) -> None:
    story.train()
    story.seal(1)
    story.seal(2)
    story.lose_link()
    story.dial()
    effects = story.welcome(**other)
    assert the(effects, StopTrainer)
    assert one(the(effects, StartTrainer)).next_seq == 1
    assert not words(effects, DeltaChunk)
    assert story.core.custody.abandoned == 2


def test_what_the_stopped_trainer_still_said_is_not_taken_for_the_new_training(story: Story) -> None:
    story.train()
    story.seal(1)
    story.lose_link()
    story.dial()
    story.welcome(lineage=b"m" * 16)
    assert story.seal(2) == []
    story.ready()
    story.snapshot(0)
    assert [chunk.seq for chunk in words(story.seal(1), DeltaChunk)] == [1]


def test_a_fatal_refusal_ends_the_agent(story: Story) -> None:
    story.dial()
    quit = one(the(story.hear(Refusal(RefusalReason.BAD_NAME, "no", fatal=True)), Quit))
    assert (quit.exit_code, quit.message) == (Exit.REFUSED, "no")


@pytest.mark.parametrize(
    ("refusal", "least_s"),
    [
        (Refusal(RefusalReason.FULL, "full", retry_after_s=60), 60),
        (Refusal(RefusalReason.FENCED, "two of you"), 30),
        (Refusal(RefusalReason.BAD_REQUEST, "what?"), 0),
    ],
)
def test_another_refusal_is_waited_for(story: Story, refusal: Refusal, least_s: float) -> None:
    story.dial()
    assert the(story.hear(refusal), HangUp)
    assert story.core.deadline is not None
    assert least_s <= story.core.deadline - story.now <= least_s + 0.5
    deadline = story.core.deadline
    story.lose_link()
    assert story.core.deadline == deadline, "the end of the refused stream is no news"


def test_a_changed_plan_reaches_this_trainer_and_the_next(story: Story) -> None:
    story.train()
    plan = Plan(density=0.01)
    assert one(told(story.hear(plan))).plan["density"] == 0.01
    story.lose_trainer()
    assert one(the(story.wait(), StartTrainer)).welcome.plan == plan


def test_a_plan_that_changed_while_the_link_was_down_comes_with_the_welcome(story: Story) -> None:
    story.train()
    story.lose_link()
    story.dial()
    assert one(told(story.welcome(plan=Plan(local_steps=99)))).plan["local_steps"] == 99
    story.lose_link()
    story.dial()
    assert told(story.welcome(plan=Plan(local_steps=99))) == []


@pytest.mark.parametrize("chunk", [CommitChunk(5, 0, b"c", CommitHeader(1)), CommitChunk(4, 7, b"c", None)])
def test_a_commit_that_does_not_follow_ends_the_stream(story: Story, chunk: CommitChunk) -> None:
    story.train()
    assert the(story.hear(chunk), HangUp)


def test_when_training_is_over_it_reports_the_checked_model_and_leaves_if_told_to() -> None:
    story = Story(leave_when_finished=True)
    story.train()
    assert told(story.hear(END)) == [frames.Conclude(version=3)]
    effects = story.says(figures(checksum=77))
    assert one(the(effects, SendReport)).final
    assert one(the(effects, Quit)).exit_code == Exit.OK


def test_who_was_offline_at_the_end_reports_when_it_is_back() -> None:
    story = Story(leave_when_finished=True)
    story.train()
    story.hear(END)
    story.lose_link()
    assert story.says(figures(checksum=77)) == []
    story.dial()
    story.welcome()
    effects = story.hear(END)
    assert one(the(effects, SendReport)).final
    assert the(effects, Quit)


def test_a_finish_before_the_model_waits_for_it(story: Story) -> None:
    story.dial()
    story.welcome()
    story.ready()
    assert told(story.hear(END)) == []
    effects = story.snapshot(3)
    assert the(effects, GiveBase)
    assert told(effects) == [frames.Conclude(version=3)]


def test_an_idle_stream_is_silent_and_a_commit_makes_one_report_due(story: Story) -> None:
    story.train()
    assert story.core.deadline is None
    story.commit(4)
    story.commit(5)
    effects = story.wait()
    assert one(the(effects, SendReport)).final is False
    assert words(effects) == [Echo(b"rtt")]
    assert story.core.deadline is None


def figures(version: int = 3, checksum: int | None = None, *, waiting: bool = True) -> frames.Figures:
    return frames.Figures(
        version=version, steps=1, cuts=1, compute_s=1, wait_s=1, residual_norm=0, delay_steps=0, waiting=waiting,
        checksum=checksum,
    )  # fmt: skip
