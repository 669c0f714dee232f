"""A run's whole state in one file, so that a start reads the end of the journal and not all of it.

    8s magic | u32 length | state (MessagePack) | vectors, float32, in the order the state names | 16s BLAKE2b of it all

The file is written under another name, synced, renamed and read again before anything older is given up.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress

import msgspec
import numpy as np
from numpy.typing import NDArray

from thinwire.common.disk import Folder
from thinwire.common.errors import DamagedError, DiskError
from thinwire.server.state import Frozen, RunState

Vector = NDArray[np.float32]

MAGIC = b"TWCKPT\x001"
MAX_STATE_BYTES = 1 << 30
_LENGTH = struct.Struct("<I")
_DIGEST = 16
_START = len(MAGIC) + _LENGTH.size
_PREFIX, _ENDING = "checkpoint-", ".tw"


def name_of(number: int) -> str:
    """The file of the checkpoint that holds all entries up to this number."""
    return f"{_PREFIX}{number:016d}{_ENDING}"


def numbers_in(folder: Folder) -> list[int]:
    """The checkpoints of a folder, by the entries that they hold, oldest first."""
    named = (name for name in folder.names() if name.startswith(_PREFIX) and name.endswith(_ENDING))
    numbers = (name[len(_PREFIX) : -len(_ENDING)] for name in named)
    return sorted(int(number) for number in numbers if number.isdigit())


def write(folder: Folder, number: int, frozen: Frozen, vectors: Mapping[str, Vector]) -> None:
    """Write a checkpoint and read it again; raise DiskError when it is not as it should be."""
    state = msgspec.msgpack.encode(frozen)
    if len(state) > MAX_STATE_BYTES:
        # It could be written, but never read again, and what is older would be given up for it.
        raise DiskError(f"a state of {len(state)} bytes is larger than a checkpoint can hold, {MAX_STATE_BYTES}")
    folder.replace(name_of(number), _parts(state, frozen, vectors))
    _verified(folder, number)


def read(folder: Folder, number: int) -> RunState:
    """The state of a checkpoint; raise DamagedError when the file is not what was written."""
    name, data = name_of(number), _verified(folder, number)
    try:
        frozen = msgspec.msgpack.decode(_state_of(data), type=Frozen)
        return RunState.thaw(frozen, dict(_vectors(data, frozen)))
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        raise DamagedError(f"{name} holds no state that this version can read: {error}") from None


def readable(folder: Folder) -> Iterator[tuple[int, RunState]]:
    """Number and state of every checkpoint that is not damaged, oldest first."""
    for number in numbers_in(folder):
        with suppress(DamagedError):
            yield number, read(folder, number)


def _parts(state: bytes, frozen: Frozen, vectors: Mapping[str, Vector]) -> Iterator[bytes]:
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for part in (MAGIC + _LENGTH.pack(len(state)) + state, *(vectors[name].tobytes() for name, _ in frozen.vectors)):
        digest.update(part)
        yield part
    yield digest.digest()


def _verified(folder: Folder, number: int) -> memoryview:
    name = name_of(number)
    data = memoryview(folder.read(name))
    if len(data) < _START + _DIGEST or data[: len(MAGIC)] != MAGIC:
        raise DamagedError(f"{name} is no checkpoint")
    if hashlib.blake2b(data[:-_DIGEST], digest_size=_DIGEST).digest() != data[-_DIGEST:]:
        raise DamagedError(f"{name} is damaged: its digest is wrong")
    return data


def _state_of(data: memoryview) -> memoryview:
    (length,) = _LENGTH.unpack(data[len(MAGIC) : _START])
    if length > MAX_STATE_BYTES or _START + length + _DIGEST > len(data):
        raise ValueError(f"a state of {length} bytes")
    return data[_START : _START + length]


def _vectors(data: memoryview, frozen: Frozen) -> Iterator[tuple[str, Vector]]:
    offset = _START + len(_state_of(data))
    for name, size in frozen.vectors:
        if not 0 <= size <= (len(data) - _DIGEST - offset) // 4:
            raise ValueError(f"{name} has {size} numbers, more than the file")
        yield name, np.frombuffer(data, dtype=np.float32, count=size, offset=offset)
        offset += 4 * size
