"""What an agent and its trainer say to each other over a socket pair: a small JSON header, then packed bytes.

    u32 header length | u32 body length | header | body          little endian

No tensor crosses, only packed deltas, commits and statistics. Both ends bound what they read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

MAX_HEADER_BYTES = 64 * 1024
MAX_BODY_BYTES = 256 << 20
_LENGTHS = struct.Struct("<II")


class FrameError(ValueError):
    """The other process does not speak this language; it is restarted."""


class Frame(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The base of all frames."""


# -- to the trainer ---------------------------------------------------------------------------------------------


class Start(Frame, frozen=True):
    """Build this task for this device and train it by this plan."""

    task: str
    params: dict[str, object]
    device: str
    shard: int
    shards: int
    seed: int
    data_dir: str
    threads: int
    plan: dict[str, object]
    next_seq: int
    state_dir: str = ""


class Base(Frame, frozen=True):
    """Here is the whole model; own deltas up to `through` are settled in it."""

    path: str
    version: int
    through: int


class Pending(Frame, frozen=True):
    """A sealed delta of an earlier trainer that is not in the base yet; the body holds its bytes."""

    seq: int
    buffer_bytes: int
    accepted: bool = False


class Restore(Frame, frozen=True):
    """Begin with the residual in this file of the device's folder, whose CRC-32 was this."""

    file: str
    crc: int


class Mask(Frame, frozen=True):
    """This delta was sealed after the residual was saved: its coordinates have left it. The body holds its bytes."""

    seq: int
    buffer_bytes: int


class Refund(Frame, frozen=True):
    """This delta was given back after the residual was saved; the body holds its bytes."""

    seq: int
    buffer_bytes: int


class SaveResidual(Frame, frozen=True):
    """Save what is unsent to this file; `refunds` of the device were told before."""

    file: str
    generation: int
    refunds: int


class CommitFrame(Frame, frozen=True):
    """The next version; the body holds its bytes."""

    version: int
    buffer_bytes: int
    through: int


class Rejection(Frame, frozen=True):
    """One of the device's deltas will not change the model."""

    seq: int
    refund: bool


class Accepted(Frame, frozen=True):
    """One of the device's deltas will be in the model, which stands at this version now; 0 when that is not known."""

    seq: int
    version: int


class Replan(Frame, frozen=True):
    """Go on by this plan."""

    plan: dict[str, object]


class Conclude(Frame, frozen=True):
    """The training is over at this version."""

    version: int


class Stop(Frame, frozen=True):
    """End the process."""


# -- from the trainer -------------------------------------------------------------------------------------------


class Ready(Frame, frozen=True):
    """The task is built."""

    layout_hash: str
    parameters: int
    examples: int


class SealedFrame(Frame, frozen=True):
    """A delta is cut; the body holds its bytes, which never change from here on."""

    seq: int
    buffer_bytes: int
    steps: int
    loss: float
    energy: float = 0.0


class ResidualSaved(Frame, frozen=True):
    """The residual after the seal and the refund of these numbers is in its file; or why it is not."""

    generation: int
    seals: int
    refunds: int
    file_bytes: int = 0
    crc: int = 0
    problem: str = ""


class Applied(Frame, frozen=True):
    """The base holds this version."""

    version: int


class Desync(Frame, frozen=True):
    """The base cannot go on from here; it needs a snapshot."""

    version: int
    reason: str


class Figures(Frame, frozen=True):
    """How the training goes; counters only grow. `checksum` is the full one of the base, when asked for."""

    version: int
    steps: int
    cuts: int
    compute_s: float
    wait_s: float
    residual_norm: float
    delay_steps: int
    waiting: bool
    checksum: int | None = None
    delay_least: int = 0
    delay_median: int = 0
    delay_p95: int = 0


class Failed(Frame, frozen=True):
    """The trainer cannot train, and starting it again would not help."""

    message: str


ToTrainer = (
    Start
    | Base
    | Pending
    | Restore
    | Mask
    | Refund
    | SaveResidual
    | CommitFrame
    | Rejection
    | Accepted
    | Replan
    | Conclude
    | Stop
)
FromTrainer = Ready | SealedFrame | ResidualSaved | Applied | Desync | Figures | Failed

_encoder = msgspec.json.Encoder()
TO_TRAINER: msgspec.json.Decoder[ToTrainer] = msgspec.json.Decoder(ToTrainer)
FROM_TRAINER: msgspec.json.Decoder[FromTrainer] = msgspec.json.Decoder(FromTrainer)


def encode(frame: Frame, body: bytes = b"") -> bytes:
    """The bytes of one frame."""
    header = _encoder.encode(frame)
    return _LENGTHS.pack(len(header), len(body)) + header + body


class FrameReader:
    """Bytes in, frames out, however they were cut on the way."""

    def __init__(self, decoder: msgspec.json.Decoder[ToTrainer] | msgspec.json.Decoder[FromTrainer]) -> None:
        self._decoder = decoder
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[ToTrainer | FromTrainer, bytes]]:
        """Each (frame, body) that is complete now; raise FrameError when the bytes are no frames."""
        self._held += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> tuple[ToTrainer | FromTrainer, bytes] | None:
        if len(self._held) < _LENGTHS.size:
            return None
        header_bytes, body_bytes = _LENGTHS.unpack_from(self._held)
        if header_bytes > MAX_HEADER_BYTES or body_bytes > MAX_BODY_BYTES:
            raise FrameError(f"a frame of {header_bytes} + {body_bytes} bytes")
        body_start, end = _LENGTHS.size + header_bytes, _LENGTHS.size + header_bytes + body_bytes
        if len(self._held) < end:
            return None
        header, body = bytes(self._held[_LENGTHS.size : body_start]), bytes(self._held[body_start:end])
        del self._held[:end]
        try:
            return self._decoder.decode(header), body
        except msgspec.MsgspecError as error:
            raise FrameError(str(error)) from None
