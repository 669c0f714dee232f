"""Deltas on their way in: whatever order the chunks claim, only the sealed bytes come out."""

import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinwire.common.values import DeltaChunk, DeltaHeader, RefusalReason, Staged
from thinwire.server.staging import Staging, StagingError, WholeDelta

BODY = bytes(range(200))


def header(body: bytes = BODY) -> DeltaHeader:
    return DeltaHeader(len(body), hashlib.sha256(body).digest(), buffer_bytes=3)


def chunk(begin: int, end: int, seq: int = 1, body: bytes = BODY, announced: bool | None = None) -> DeltaChunk:
    told = begin == 0 if announced is None else announced
    return DeltaChunk(seq, begin, body[begin:end], header(body) if told else None, end=end >= len(body))


def staging(limit_bytes: int = 1000) -> Staging:
    return Staging(max_delta_bytes=500, limit_bytes=limit_bytes)


def take_all(stage: Staging, chunks: Iterable[DeltaChunk], device: str = "a") -> WholeDelta | None:
    whole = None
    for part in chunks:
        assert whole is None
        whole = stage.take(device, part)
    return whole


@given(cut=st.integers(1, 199))
def test_chunks_join_to_the_sealed_bytes(cut: int) -> None:
    stage = staging()
    assert take_all(stage, (chunk(0, cut), chunk(cut, 200))) == WholeDelta(1, header(), BODY)
    assert stage.staged("a") == ()


def test_a_broken_upload_goes_on_from_what_is_held() -> None:
    stage = staging()
    stage.take("a", chunk(0, 80))
    assert stage.staged("a") == (Staged(1, 80),)
    whole = stage.take("a", chunk(80, 200, announced=True))
    assert whole is not None
    assert whole.payload == BODY


def test_an_upload_from_its_start_replaces_what_was_held() -> None:
    stage = staging()
    stage.take("a", chunk(0, 80))
    assert take_all(stage, (chunk(0, 50), chunk(50, 200))) is not None


def test_another_delta_replaces_what_was_held() -> None:
    stage = staging()
    stage.take("a", chunk(0, 80))
    stage.take("a", chunk(0, 10, seq=2))
    assert stage.staged("a") == (Staged(2, 10),)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(chunk(90, 200), RefusalReason.BAD_REQUEST, id="a gap"),
        pytest.param(chunk(70, 200), RefusalReason.BAD_REQUEST, id="an overlap"),
        pytest.param(chunk(80, 200, seq=2), RefusalReason.BAD_REQUEST, id="another delta's middle"),
        pytest.param(DeltaChunk(1, 80, bytes(121)), RefusalReason.BAD_REQUEST, id="longer than announced"),
        pytest.param(DeltaChunk(1, 80, b"x", end=True), RefusalReason.BAD_REQUEST, id="shorter than announced"),
        pytest.param(DeltaChunk(1, 80, bytes(120), end=True), RefusalReason.BAD_REQUEST, id="other bytes"),
        pytest.param(DeltaChunk(2, 0, b"", DeltaHeader(501, bytes(32))), RefusalReason.TOO_LARGE, id="too large"),
        pytest.param(DeltaChunk(2, 0, b"", DeltaHeader(0, bytes(32))), RefusalReason.TOO_LARGE, id="empty"),
        pytest.param(DeltaChunk(2, 0, b"", DeltaHeader(9, b"short")), RefusalReason.BAD_REQUEST, id="no hash"),
    ],
)
def test_what_cannot_become_a_delta_is_refused(bad: DeltaChunk, reason: RefusalReason) -> None:
    stage = staging()
    stage.take("a", chunk(0, 80))
    with pytest.raises(StagingError) as caught:
        stage.take("a", bad)
    assert caught.value.reason is reason


def test_damaged_bytes_are_sent_again_from_the_start() -> None:
    stage = staging()
    stage.take("a", chunk(0, 80))
    with pytest.raises(StagingError, match="hash"):
        stage.take("a", DeltaChunk(1, 80, bytes(120), end=True))
    assert stage.staged("a") == ()
    assert take_all(stage, (chunk(0, 200),)) is not None


def test_a_chunk_without_an_announcement_is_refused() -> None:
    with pytest.raises(StagingError, match="nothing is held"):
        staging().take("a", chunk(80, 200))


def test_devices_do_not_see_each_other() -> None:
    stage = staging()
    stage.take("a", chunk(0, 80))
    stage.take("b", chunk(0, 120))
    assert stage.staged("a") == (Staged(1, 80),)
    assert take_all(stage, (chunk(120, 200),), device="b") is not None
    stage.forget("a")
    assert stage.staged("a") == ()


def test_what_is_announced_counts_and_the_oldest_makes_room() -> None:
    stage = staging(limit_bytes=450)
    for device in "abc":
        stage.take(device, chunk(0, 10))
    assert [bool(stage.staged(device)) for device in "abc"] == [False, True, True]
    with pytest.raises(StagingError):
        stage.take("a", chunk(10, 200))
    assert take_all(stage, (chunk(0, 200),), device="a") is not None, "it starts over"
