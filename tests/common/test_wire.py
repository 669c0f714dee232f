"""Every value survives the wire; nothing longer or stranger than agreed does."""

import dataclasses
import enum
import math
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinwire.common import values, wire
from thinwire.v1 import session_pb2

FLOATS = st.floats(allow_nan=False, width=32)
# Where the wire is narrower than a Python int; everything else is 64 bits.
NARROW = {
    "protocol", "local_steps", "window", "max_delta_bytes", "received_bytes", "total_bytes", "buffer_bytes", "steps",
    "delay_steps", "trainer_restarts", "delay_least", "delay_median", "delay_p95", "storage_refused",
}  # fmt: skip


def field(name: str, kind: Any) -> st.SearchStrategy[Any]:
    if get_origin(kind) is tuple:
        return st.lists(value_of(get_args(kind)[0]), max_size=3).map(tuple)
    optional = next((arg for arg in get_args(kind) if dataclasses.is_dataclass(arg)), None)
    if optional is not None:
        return st.none() | value_of(optional)
    if dataclasses.is_dataclass(kind):
        return value_of(kind)
    if issubclass(kind, enum.IntEnum):
        return st.sampled_from(kind)
    bound = wire.BOUNDS.get(name, wire.DEFAULT_BOUND)
    offset = st.integers(0, (1 << 32) - 1)
    return {
        str: st.text(st.characters(exclude_categories=["Cs"]), max_size=min(bound, 20)),
        bytes: st.binary(max_size=min(bound, 40)),
        bool: st.booleans(),
        float: FLOATS,
        int: offset if name in {*NARROW, "offset"} else st.integers(0, (1 << 64) - 1),
    }[kind]


def value_of(cls: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    fields = {one.name: field(one.name, hints[one.name]) for one in dataclasses.fields(cls)}
    if "total_bytes" in fields and cls is values.SnapshotHeader:
        fields["total_bytes"] = st.integers(0, (1 << 64) - 1)
    if cls is values.Report:
        fields["steps"] = st.integers(0, (1 << 64) - 1)
    return st.builds(cls, **fields)


@given(st.one_of([value_of(cls) for cls in wire.REQUEST_KINDS.values()]))
def test_what_a_device_says_is_what_is_heard(word: Any) -> None:
    message = session_pb2.SessionRequest.FromString(wire.request(word).SerializeToString())
    assert wire.from_request(message) == word


@given(st.one_of([value_of(cls) for cls in wire.RESPONSE_KINDS.values()]))
def test_what_the_coordinator_says_is_what_is_heard(word: Any) -> None:
    message = session_pb2.SessionResponse.FromString(wire.response(word).SerializeToString())
    assert wire.from_response(message) == word


@pytest.mark.parametrize("kinds", [wire.REQUEST_KINDS, wire.RESPONSE_KINDS], ids=["requests", "responses"])
def test_values_and_messages_have_the_same_fields(kinds: dict[str, type]) -> None:
    union = session_pb2.SessionRequest if kinds is wire.REQUEST_KINDS else session_pb2.SessionResponse
    descriptor = union.DESCRIPTOR.oneofs_by_name["kind"]
    assert {one.name for one in descriptor.fields} == set(kinds)
    for one in descriptor.fields:
        ours = [f.name for f in dataclasses.fields(kinds[one.name])]  # type: ignore[arg-type]
        assert sorted(ours) == sorted(inner.name for inner in one.message_type.fields)


def test_bytes_that_are_no_message_are_refused() -> None:
    """A client of gRPC is given None for them."""
    with pytest.raises(wire.WireError):
        wire.from_response(None)  # type: ignore[arg-type]


def test_a_message_of_no_kind_is_refused() -> None:
    with pytest.raises(wire.WireError, match="no kind"):
        wire.from_request(session_pb2.SessionRequest())


@pytest.mark.parametrize(
    "word",
    [
        values.Echo(bytes(17)),
        values.Hello("a" * 65),
        values.Hello("a", lineage=bytes(17)),
        values.Hello("a", unsettled=257 * (values.Sealed(1, bytes(32)),)),
        values.Hello("a", unsettled=(values.Sealed(1, bytes(33)),)),
        values.DeltaChunk(1, 0, bytes(values.CHUNK_BYTES + 1)),
        values.DeltaChunk(1, 0, b"", values.DeltaHeader(1, bytes(33))),
    ],
    ids=lambda word: type(word).__name__,
)
def test_what_is_longer_than_agreed_is_refused(word: Any) -> None:
    with pytest.raises(wire.WireError, match="at most"):
        wire.from_request(wire.request(word))


def test_the_longest_chunk_passes() -> None:
    word = values.DeltaChunk(1, 0, bytes(values.CHUNK_BYTES), end=True)
    assert wire.from_request(wire.request(word)) == word


def test_a_verdict_this_software_does_not_know_is_refused() -> None:
    message = session_pb2.SessionResponse(outcome=session_pb2.Outcome(seq=1, verdict=9))  # type: ignore[arg-type]
    with pytest.raises(wire.WireError, match="does not know"):
        wire.from_response(message)


def test_a_header_is_there_or_not_but_never_half() -> None:
    chunk = wire.from_response(wire.response(values.CommitChunk(1, 0, b"x", values.CommitHeader(0))))
    assert isinstance(chunk, values.CommitChunk)
    assert chunk.header == values.CommitHeader(0)
    bare = wire.from_response(wire.response(values.CommitChunk(1, 0, b"x")))
    assert isinstance(bare, values.CommitChunk)
    assert bare.header is None


def test_ratios_of_an_idle_device_are_zero() -> None:
    assert (values.Report().overlap_ratio, values.Report().busy_ratio) == (0.0, 0.0)
    report = values.Report(transfer_s=4, hidden_s=3, compute_s=9, wait_s=1)
    assert math.isclose(report.overlap_ratio, 0.75)
    assert math.isclose(report.busy_ratio, 0.9)
