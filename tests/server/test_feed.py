"""What one device is sent next. Every story plays one stream against one log."""

from typing import Any

import pytest

from thinwire.common.values import (
    CHUNK_BYTES,
    CommitChunk,
    DeltaChunk,
    DeltaHeader,
    Echo,
    Finish,
    Hello,
    Outcome,
    Plan,
    Sealed,
    SnapshotChunk,
    Staged,
    Subscribe,
    Verdict,
    Welcome,
)
from thinwire.server import reception
from thinwire.server.commits import CommitLog, PackedSnapshot
from thinwire.server.effects import Finished, Recognised
from thinwire.server.events import Greeted, Subscribed
from thinwire.server.feed import MAX_WAITING_WORDS, Feed, Outgoing, SnapshotWanted
from thinwire.server.model import Commit
from thinwire.server.staging import Staging

LONG = 2 * CHUNK_BYTES + 10
NEW = Subscribe(has_base=False)


class Stream:
    """A feed, a log with three commits and a snapshot of version 2, and what comes out."""

    def __init__(self, snapshot_bytes: int = LONG, epoch: int = 1) -> None:
        self.log = CommitLog(1 << 30)
        for version in (1, 2, 3):
            self.append(version)
        self.log.keep(PackedSnapshot(2, bytes(snapshot_bytes), b"s" * 32, {"a": (1, 4), "b": (1, 9)}))
        self.feed = Feed("a", epoch)
        self.final: Finished | None = None
        self.open = True
        self.completed: list[int] = []

    def append(self, version: int, size: int = 50, through: int = 0) -> None:
        self.log.append(Commit(version, bytes(size), through={"a": (1, through or version)}))

    def next(self) -> Any:
        due = self.feed.next(self.log, open=self.open, final=self.final)
        if not isinstance(due, Outgoing):
            return due
        self.completed += [due.completed_bytes] if due.completed_bytes else []
        return due.word

    def all(self) -> list[Any]:
        words = []
        while (word := self.next()) is not None:
            assert not isinstance(word, SnapshotWanted)
            words.append(word)
        return words


@pytest.fixture
def stream() -> Stream:
    return Stream()


def brief(words: list[Any]) -> list[Any]:
    return [(type(word).__name__[0], word.version, word.offset) if hasattr(word, "offset") else word for word in words]


def test_nothing_but_words_before_it_subscribes(stream: Stream) -> None:
    assert stream.next() is None
    stream.feed.tell(Echo(b"1"))
    assert stream.all() == [Echo(b"1")]


def test_nothing_but_words_before_the_training_begins(stream: Stream) -> None:
    stream.open = False
    stream.feed.subscribe(NEW)
    assert stream.next() is None


def test_a_device_at_a_version_gets_the_commits_after_it(stream: Stream) -> None:
    stream.feed.subscribe(Subscribe(has_base=True, version=1))
    assert brief(stream.all()) == [("C", 2, 0), ("C", 3, 0)]
    assert (stream.feed.cursor, stream.completed) == (3, [50, 50])
    stream.append(4)
    assert brief(stream.all()) == [("C", 4, 0)]


def test_a_device_without_a_model_gets_the_snapshot_and_the_commits_after_it(stream: Stream) -> None:
    stream.feed.subscribe(NEW)
    words = stream.all()
    assert brief(words) == [("S", 2, 0), ("S", 2, CHUNK_BYTES), ("S", 2, 2 * CHUNK_BYTES), ("C", 3, 0)]
    assert [len(word.data) for word in words] == [CHUNK_BYTES, CHUNK_BYTES, 10, 50]
    assert [word.header is not None for word in words] == [True, False, False, True]
    assert stream.completed == [LONG, 50]


def test_a_snapshot_goes_on_where_it_was_cut_off(stream: Stream) -> None:
    stream.feed.subscribe(Subscribe(has_base=False, snapshot_version=2, snapshot_bytes=CHUNK_BYTES))
    first = stream.next()
    assert (first.offset, first.header is not None) == (CHUNK_BYTES, True)
    stream.all()
    assert stream.completed == [LONG - CHUNK_BYTES, 50], "what it had was not sent"


@pytest.mark.parametrize(("version", "held"), [(1, 100), (2, LONG), (2, LONG + 1)])
def test_another_snapshot_or_too_much_of_it_starts_over(stream: Stream, version: int, held: int) -> None:
    stream.feed.subscribe(Subscribe(has_base=False, snapshot_version=version, snapshot_bytes=held))
    assert stream.next().offset == 0


@pytest.mark.parametrize("version", [0, 9])
def test_a_version_the_log_does_not_reach_needs_a_snapshot(version: int) -> None:
    stream = Stream()
    stream.log = CommitLog(60)
    for number in (1, 2, 3):
        stream.append(number)
    stream.feed.subscribe(Subscribe(has_base=True, version=version))
    assert stream.next() == SnapshotWanted()
    assert stream.next() == SnapshotWanted(), "until one is kept"
    stream.log.keep(PackedSnapshot(3, b"model", b"s" * 32, {}))
    assert brief(stream.all()) == [("S", 3, 0)]


def test_words_go_before_the_next_chunk(stream: Stream) -> None:
    stream.feed.subscribe(NEW)
    stream.next()
    rejected = Outcome(4, Verdict.REJECTED)
    stream.feed.tell(rejected)
    assert stream.next() == rejected, "it must be heard before the snapshot that settles it is whole"
    assert isinstance(stream.next(), SnapshotChunk)


@pytest.mark.parametrize(("epoch", "through"), [(1, 4), (2, 0)])
def test_numbers_of_another_epoch_are_not_told(epoch: int, through: int) -> None:
    stream = Stream(epoch=epoch)
    stream.feed.subscribe(NEW)
    snapshot, *_, commit = stream.all()
    assert snapshot.header.included_through == through
    assert commit.header.included_through == (3 if epoch == 1 else 0)


@pytest.mark.parametrize("chunks", [1, 2])
def test_a_new_trainer_breaks_off_what_was_under_way(chunks: int) -> None:
    """A commit of three chunks is on its way when the trainer dies; its successor's wish must not be forgotten."""
    stream = Stream(snapshot_bytes=2 * LONG)
    stream.feed.subscribe(Subscribe(has_base=True, version=3))
    stream.append(4, size=LONG)
    for _ in range(chunks):
        assert isinstance(stream.next(), CommitChunk)
    stream.feed.subscribe(NEW)
    words = brief(stream.all())
    assert words[0] == ("S", 2, 0)
    assert words[-4:] == [("C", 3, 0), ("C", 4, 0), ("C", 4, CHUNK_BYTES), ("C", 4, 2 * CHUNK_BYTES)]


def test_the_end_is_told_once_to_who_holds_the_last_version(stream: Stream) -> None:
    stream.final = Finished(3, "enough")
    stream.feed.subscribe(Subscribe(has_base=True, version=2))
    assert stream.all()[-1] == Finish(3, "enough")
    assert stream.next() is None
    stream.feed.subscribe(Subscribe(has_base=True, version=3))
    assert stream.all() == [Finish(3, "enough")], "a new trainer has not heard it"


def test_a_device_that_reads_nothing_becomes_overfull(stream: Stream) -> None:
    for _ in range(MAX_WAITING_WORDS):
        stream.feed.tell(Echo(b""))
    assert not stream.feed.overfull
    stream.feed.tell(Echo(b""))
    assert stream.feed.overfull


# -- reception ------------------------------------------------------------------------------------------------------

LINEAGE = b"l" * 16
SEALED = (Sealed(3, b"h" * 32),)
TEMPLATE = Welcome(LINEAGE, 0, "t", "{}", b"L" * 8, Plan(), 0)


def hello(lineage: bytes, epoch: int) -> Hello:
    return Hello("a", lineage=lineage, epoch=epoch, unsettled=SEALED)


def test_what_a_device_holds_of_another_lineage_is_not_asked_about() -> None:
    assert reception.greeted(hello(LINEAGE, 4), LINEAGE) == Greeted("a", 4, SEALED)
    assert reception.greeted(hello(b"m" * 16, 4), LINEAGE) == Greeted("a", 0)


@pytest.mark.parametrize(("lineage", "epoch", "kept"), [(LINEAGE, 4, True), (LINEAGE, 3, False), (b"m" * 16, 4, False)])
def test_what_was_staged_for_another_epoch_is_dropped(lineage: bytes, epoch: int, kept: bool) -> None:
    staging = Staging(1000, 1000)
    staging.take("a", DeltaChunk(3, 0, b"half", DeltaHeader(8, b"h" * 32)))
    welcome = reception.welcomed(TEMPLATE, hello(lineage, epoch), Recognised("a", 4, ()), Plan(), 17, staging)
    assert (welcome.epoch, welcome.version) == (4, 17)
    assert welcome.staged == ((Staged(3, 4),) if kept else ())


@pytest.mark.parametrize(("claimed", "taken"), [(0, 1), (7, 7), (1 << 63, 1 << 40)])
def test_a_claim_of_examples_is_bounded(claimed: int, taken: int) -> None:
    assert reception.subscribed("a", Subscribe(has_base=False, examples=claimed)) == Subscribed("a", taken)


def test_a_device_that_takes_turns_gets_what_its_outcome_speaks_of_and_no_more_until_the_next(stream: Stream) -> None:
    welcome = Welcome(bytes(16), 1, "t", "{}", bytes(8), Plan(overlap=False, waits_for="outcome"), version=1)
    stream.feed.tell(welcome)
    stream.feed.subscribe(Subscribe(has_base=True, version=0))
    assert brief(stream.all()) == [welcome, ("C", 1, 0)]
    accepted = Outcome(1, Verdict.ACCEPTED, version=3)
    stream.feed.tell(accepted)
    assert brief(stream.all()) == [accepted, ("C", 2, 0), ("C", 3, 0)]
    stream.append(4)
    assert stream.all() == []
    stream.final = Finished(4, "enough")
    assert brief(stream.all()) == [("C", 4, 0), Finish(4, "enough")], "the end is for everyone"


def test_a_device_that_takes_turns_and_has_no_model_gets_one_at_once(stream: Stream) -> None:
    plan = Plan(overlap=False, waits_for="outcome")
    stream.feed.tell(Welcome(bytes(16), 1, "t", "{}", bytes(8), plan, version=0))
    stream.feed.subscribe(NEW)
    assert [word.version for word in stream.all()[1:]] == 3 * [2], "three chunks, and nothing behind them"
