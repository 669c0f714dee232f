"""Frames between agent and trainer: the same, however the bytes were cut; bounded, whatever they claim."""

import itertools
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinwire.common import frames

TO_TRAINER: list[tuple[Any, bytes]] = [
    (
        frames.Start(
            task="t", params={"a": [1, "b"]}, device="d", shard=1, shards=2, seed=3, data_dir="", threads=1,
            plan={"omega": 0.5}, next_seq=7,
        ),
        b"",
    ),
    (frames.Base(path="/tmp/x", version=3, through=2), b""),
    (frames.Pending(seq=4, buffer_bytes=1), b"sealed"),
    (frames.Restore(file="residual-1", crc=5), b""),
    (frames.Mask(seq=4, buffer_bytes=1), b"sealed"),
    (frames.Refund(seq=4, buffer_bytes=1), b"sealed"),
    (frames.SaveResidual(file="residual-2", generation=2, refunds=1), b""),
    (frames.CommitFrame(version=4, buffer_bytes=0, through=1), bytes(range(256))),
    (frames.Rejection(seq=4, refund=True), b""),
    (frames.Accepted(seq=4, version=5), b""),
    (frames.Replan(plan={}), b""),
    (frames.Conclude(version=9), b""),
    (frames.Stop(), b""),
]  # fmt: skip
FROM_TRAINER: list[tuple[Any, bytes]] = [
    (frames.Ready(layout_hash="00", parameters=5, examples=1), b""),
    (frames.SealedFrame(seq=1, buffer_bytes=0, steps=10, loss=0.5), b"delta"),
    (frames.ResidualSaved(generation=2, seals=4, refunds=1, file_bytes=20, crc=5), b""),
    (frames.Applied(version=1), b""),
    (frames.Desync(version=1, reason="gap"), b""),
    (
        frames.Figures(
            version=1, steps=2, cuts=3, compute_s=4, wait_s=5, residual_norm=6, delay_steps=7, waiting=False,
            checksum=(1 << 64) - 1,
        ),
        b"",
    ),
    (frames.Failed(message="no data"), b""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "decoder"), [(TO_TRAINER, frames.TO_TRAINER), (FROM_TRAINER, frames.FROM_TRAINER)], ids=["to", "from"]
)
@given(cuts=st.lists(st.integers(0, 1500), max_size=12).map(sorted))
def test_frames_come_out_as_they_went_in_wherever_the_bytes_are_cut(
    sent: list[tuple[Any, bytes]], decoder: Any, cuts: list[int]
) -> None:
    stream = b"".join(frames.encode(frame, body) for frame, body in sent)
    reader = frames.FrameReader(decoder)
    edges = [0, *(cut for cut in cuts if cut < len(stream)), len(stream)]
    heard: list[Any] = []
    for begin, end in itertools.pairwise(edges):
        heard += reader.feed(stream[begin:end])
    assert heard == sent


@pytest.mark.parametrize("kinds", [(frames.ToTrainer, TO_TRAINER), (frames.FromTrainer, FROM_TRAINER)])
def test_every_kind_of_frame_is_tried_here(kinds: tuple[Any, list[tuple[Any, bytes]]]) -> None:
    union, tried = kinds
    assert {type(frame) for frame, _ in tried} == set(union.__args__)


@pytest.mark.parametrize(
    "lengths",
    [(frames.MAX_HEADER_BYTES + 1, 0), (2, frames.MAX_BODY_BYTES + 1), (0xFFFFFFFF, 0xFFFFFFFF)],
)
def test_a_length_beyond_the_bounds_is_refused_before_anything_is_held(lengths: tuple[int, int]) -> None:
    with pytest.raises(frames.FrameError, match="a frame of"):
        list(frames.FrameReader(frames.TO_TRAINER).feed(struct.pack("<II", *lengths)))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"not json",
        b"[]",
        b'{"type":"Unheard"}',
        b'{"type":"Conclude"}',
        b'{"type":"Conclude","version":"one"}',
        b'{"type":"Applied","version":1}',
    ],
)
def test_what_is_no_frame_of_this_direction_is_refused(header: bytes) -> None:
    with pytest.raises(frames.FrameError):
        list(frames.FrameReader(frames.TO_TRAINER).feed(struct.pack("<II", len(header), 0) + header))


def test_frames_before_a_bad_one_are_heard() -> None:
    reader = frames.FrameReader(frames.TO_TRAINER).feed(frames.encode(frames.Stop()) + struct.pack("<II", 1 << 20, 0))
    assert next(reader) == (frames.Stop(), b"")
    with pytest.raises(frames.FrameError):
        next(reader)


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_refused(noise: bytes) -> None:
    try:
        heard = list(frames.FrameReader(frames.FROM_TRAINER).feed(noise))
    except frames.FrameError:
        return
    assert heard == [] or isinstance(heard[0][0], frames.Frame)
