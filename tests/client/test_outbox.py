"""Sealed deltas between the trainer and the model: their bytes never change, and each leaves exactly once."""

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinwire.client.outbox import Outbox, SealedDelta
from thinwire.common.values import CHUNK_BYTES, Sealed


def sealed(seq: int, payload: bytes = b"delta") -> SealedDelta:
    return SealedDelta.seal(seq, payload, buffer_bytes=2, steps=10, loss=0.5)


def full(*numbers: int) -> Outbox:
    outbox = Outbox()
    for seq in numbers:
        outbox.add(sealed(seq))
    return outbox


def numbers(deltas: list[SealedDelta]) -> list[int]:
    return [delta.seq for delta in deltas]


@given(size=st.integers(1, 3 * CHUNK_BYTES), received=st.integers(-1, 3 * CHUNK_BYTES))
def test_chunks_are_the_rest_of_the_bytes_in_order(size: int, received: int) -> None:
    payload = bytes(size)
    delta = sealed(1, payload)
    chunks = list(delta.chunks(received))
    start = received if 0 <= received < size else 0
    assert chunks[0].offset == start
    assert b"".join(chunk.data for chunk in chunks) == payload[start:]
    assert all(before.offset + len(before.data) == after.offset for before, after in itertools.pairwise(chunks))
    assert [chunk.end for chunk in chunks] == (len(chunks) - 1) * [False] + [True]
    assert [chunk.header for chunk in chunks] == [delta.header] + (len(chunks) - 1) * [None]
    assert all(0 < len(chunk.data) <= CHUNK_BYTES for chunk in chunks)


def test_the_identity_is_the_hash_of_the_bytes() -> None:
    outbox = full(1)
    outbox.keep()
    assert outbox.identities() == (Sealed(1, hashlib.sha256(b"delta").digest()),)


def test_what_is_not_kept_is_carried_but_neither_sent_nor_spoken_of() -> None:
    outbox = full(1)
    assert numbers(outbox.keep()) == [1]
    outbox.add(sealed(2))
    assert (numbers(outbox.unsettled()), len(outbox.identities()), outbox.kept_through) == ([1], 1, 1)
    assert numbers(outbox.pending()) == [1, 2]
    assert numbers(outbox.keep()) == [2]
    assert numbers(outbox.unsettled()) == [1, 2]


def test_an_accepted_delta_is_pending_until_the_base_holds_it() -> None:
    outbox = full(1, 2, 3)
    outbox.keep()
    outbox.accept(2)
    assert numbers(outbox.unsettled()) == [1, 3]
    assert numbers(outbox.pending()) == [1, 2, 3]
    assert outbox.include(2)
    assert numbers(outbox.pending()) == [3]
    assert not outbox.include(2), "no news"


def test_an_outcome_for_what_is_gone_is_no_news() -> None:
    outbox = full(1)
    outbox.include(1)
    outbox.accept(1)
    assert outbox.drop(1) is None
    assert outbox.pending() == []


def test_a_rejected_delta_is_neither_sent_nor_carried() -> None:
    outbox = full(1, 2)
    assert outbox.drop(1) is not None
    assert numbers(outbox.pending()) == [2]
    assert outbox.settled_through == 1


def test_numbers_go_on_after_what_was_sealed() -> None:
    outbox = full(1, 2)
    outbox.include(2)
    assert outbox.next_seq == 3
    assert Outbox(sealed=7).next_seq == 8


def test_only_what_has_no_outcome_is_undecided() -> None:
    outbox = full(1, 2, 3)
    outbox.accept(1)
    outbox.drop(2)
    assert outbox.undecided == 1


@pytest.mark.parametrize("through", [0, 5])
def test_including_none_or_all(through: int) -> None:
    outbox = full(1, 2, 3)
    outbox.include(through)
    assert numbers(outbox.pending()) == ([1, 2, 3] if through == 0 else [])
