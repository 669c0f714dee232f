"""Chunks from the coordinator: joined when they follow each other, refused kindly when they do not or lie."""

import hashlib
import itertools

import pytest
from agent_story import snapshot_chunk
from hypothesis import given
from hypothesis import strategies as st

from thinwire.client.intake import (
    MAX_COMMIT_BYTES,
    MAX_SNAPSHOT_BYTES,
    CommitIntake,
    IntakeError,
    SnapshotIntake,
)
from thinwire.common.values import CommitChunk, CommitHeader, SnapshotChunk, SnapshotHeader

BODY = bytes(range(200))


def commit_chunk(version: int, offset: int, end: int, header: CommitHeader | None = None) -> CommitChunk:
    return CommitChunk(version, offset, BODY[offset:end], header)


@given(cuts=st.lists(st.integers(1, len(BODY) - 1), unique=True).map(sorted))
def test_a_commit_is_whole_with_its_last_byte_however_it_is_cut(cuts: list[int]) -> None:
    intake = CommitIntake()
    edges = [0, *cuts, len(BODY)]
    for begin, end in itertools.pairwise(edges):
        assert begin == 0 or intake.busy
        whole = intake.take(commit_chunk(7, begin, end, CommitHeader(len(BODY), 3, 5) if begin == 0 else None))
        assert (whole is not None) == (end == len(BODY))
    assert whole is not None
    assert (whole.version, whole.payload, whole.header.included_through) == (7, BODY, 5)
    assert not intake.busy


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(commit_chunk(7, 60, 100), id="a gap"),
        pytest.param(commit_chunk(7, 40, 100), id="an overlap"),
        pytest.param(commit_chunk(8, 50, 100), id="another version"),
        pytest.param(CommitChunk(7, 50, bytes(151)), id="longer than declared"),
        pytest.param(CommitChunk(8, 0, b"", CommitHeader(MAX_COMMIT_BYTES + 1)), id="a lie about its length"),
    ],
)
def test_a_commit_that_does_not_follow_is_refused(second: CommitChunk) -> None:
    intake = CommitIntake()
    intake.take(commit_chunk(7, 0, 50, CommitHeader(len(BODY))))
    with pytest.raises(IntakeError):
        intake.take(second)


def test_a_commit_without_a_header_is_refused() -> None:
    with pytest.raises(IntakeError, match="does not follow"):
        CommitIntake().take(commit_chunk(7, 0, 50))


def test_a_header_breaks_off_the_commit_before() -> None:
    intake = CommitIntake()
    intake.take(commit_chunk(7, 0, 50, CommitHeader(len(BODY))))
    whole = intake.take(CommitChunk(8, 0, b"x", CommitHeader(1)))
    assert whole is not None
    assert (whole.version, whole.payload) == (8, b"x")


def test_a_snapshot_is_complete_when_its_hash_is_right() -> None:
    intake = SnapshotIntake()
    first = intake.take(snapshot_chunk(3, BODY, end=120, through=4))
    last = intake.take(SnapshotChunk(3, 120, BODY[120:]))
    assert (first.begins, first.complete, last.begins, last.complete) == (True, False, False, True)
    assert last.included_through == 4


def test_a_snapshot_whose_hash_is_wrong_starts_over() -> None:
    intake = SnapshotIntake()
    with pytest.raises(IntakeError, match="hash"):
        intake.take(SnapshotChunk(3, 0, BODY, SnapshotHeader(len(BODY), hashlib.sha256(b"other").digest())))
    assert intake.received_bytes == 0


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(SnapshotChunk(3, 130, BODY[130:]), id="a gap"),
        pytest.param(SnapshotChunk(4, 120, BODY[120:]), id="another version"),
        pytest.param(SnapshotChunk(3, 120, bytes(81)), id="longer than declared"),
        pytest.param(SnapshotChunk(5, 0, b"", SnapshotHeader(MAX_SNAPSHOT_BYTES + 1, bytes(32))), id="a lie"),
        pytest.param(snapshot_chunk(9, BODY + b"x", 120), id="the middle of another one"),
    ],
)
def test_a_snapshot_that_does_not_follow_is_refused(second: SnapshotChunk) -> None:
    intake = SnapshotIntake()
    intake.take(snapshot_chunk(3, BODY, end=120))
    with pytest.raises(IntakeError):
        intake.take(second)


def test_the_same_snapshot_from_its_start_is_taken_from_its_start() -> None:
    intake = SnapshotIntake()
    intake.take(snapshot_chunk(3, BODY, end=120))
    part = intake.take(snapshot_chunk(3, BODY))
    assert (part.begins, part.complete) == (True, True)
