"""A run's whole state in one file, so that a start reads the end of the journal and not all of it.

    8s magic | u32 length | state (MessagePack) | pages | vectors, float32, in the order the state names | 16s BLAKE2b

The digest is of all before it. What there is of each device is in the pages. The file is written under another name,
synced, renamed and read again before anything older is given up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from thinwire.common.disk import Folder
from thinwire.common.errors import DamagedError, DiskError
from thinwire.server import pages
from thinwire.server.state import Frozen, RunState

Vector = NDArray[np.float32]

MAGIC = b"TWCKPT\x002"  # the last byte is the format
MAX_STATE_BYTES = 1 << 30
PIECE_BYTES = 16 << 20
_DIGEST = 16
_LEAST = len(MAGIC) + 2 * pages.LENGTH.size + _DIGEST
_PREFIX, _ENDING = "checkpoint-", ".tw"


class OtherFormatError(DamagedError):
    """A checkpoint is sound, but in the format of another version of thinwire."""


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
    state = msgspec.msgpack.encode(msgspec.structs.replace(frozen, members=[], ledger=[]))
    if len(state) > MAX_STATE_BYTES:
        # It could be written, but never read again, and what is older would be given up for it.
        raise DiskError(f"a state of {len(state)} bytes is larger than a checkpoint can hold, {MAX_STATE_BYTES}")
    folder.replace(name_of(number), _parts(state, frozen, vectors))
    _verify(folder, name_of(number))


def read(folder: Folder, number: int) -> RunState:
    """The state of a checkpoint; raise DamagedError when the file is not what was written."""
    name = name_of(number)
    held = memoryview(folder.read(name))
    data, digest = held[:-_DIGEST], bytes(held[-_DIGEST:])
    sound = hashlib.blake2b(data, digest_size=_DIGEST).digest() == digest
    _demand_whole(name, len(held), bytes(held[: len(MAGIC)]), sound)
    try:
        state, offset = pages.block(data, len(MAGIC), MAX_STATE_BYTES)
        members, ledger, offset = pages.read(data, offset)
        frozen = msgspec.msgpack.decode(state, type=Frozen)
        whole = msgspec.structs.replace(frozen, members=members, ledger=ledger)
        return RunState.thaw(whole, dict(_vectors(data, frozen, offset)))
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        raise DamagedError(f"{name} holds no state that this version can read: {error}") from None


def readable(folder: Folder) -> Iterator[tuple[int, RunState]]:
    """Number and state of every checkpoint that is not damaged, oldest first."""
    for number in numbers_in(folder):
        with suppress(DamagedError):
            yield number, read(folder, number)


def _parts(state: bytes, frozen: Frozen, vectors: Mapping[str, Vector]) -> Iterator[bytes]:
    digest = hashlib.blake2b(digest_size=_DIGEST)
    head = MAGIC + pages.LENGTH.pack(len(state)) + state
    rows = pages.written(frozen.members, frozen.ledger)
    for part in chain((head,), rows, (vectors[name].tobytes() for name, _ in frozen.vectors)):
        digest.update(part)
        yield part
    yield digest.digest()


def _verify(folder: Folder, name: str) -> None:
    """Read a checkpoint in pieces, for it may be larger than memory has room for beside the run."""
    size, offset = folder.size(name), 0
    digest, end, magic = hashlib.blake2b(digest_size=_DIGEST), bytearray(), b""
    while offset < size and (piece := folder.read(name, offset, PIECE_BYTES)):
        inside = max(0, min(len(piece), size - _DIGEST - offset))
        digest.update(piece[:inside])
        end += piece[inside:]
        magic = magic or piece[: len(MAGIC)]
        offset += len(piece)
    _demand_whole(name, size, magic, digest.digest() == bytes(end))


def _demand_whole(name: str, size: int, magic: bytes, sound: bool) -> None:
    if size < _LEAST or magic[:-1] != MAGIC[:-1]:
        raise DamagedError(f"{name} is damaged: it does not begin as a checkpoint does")
    if not sound:
        raise DamagedError(f"{name} is damaged: its digest is wrong")
    if magic != MAGIC:
        raise OtherFormatError(
            f"{name} was written by another version of thinwire, in checkpoint format {_format(magic)}, and this one "
            f"reads {_format(MAGIC)}; nothing is damaged: go on with the version that wrote it, or begin a new "
            "training with: thinwire coordinator --fresh"
        )


def _format(magic: bytes) -> str:
    return ascii(magic[-1:].decode("latin-1"))


def _vectors(data: memoryview, frozen: Frozen, offset: int) -> Iterator[tuple[str, Vector]]:
    for name, size in frozen.vectors:
        if not 0 <= size <= (len(data) - offset) // 4:
            raise ValueError(f"{name} has {size} numbers, more than the file")
        yield name, np.frombuffer(data, dtype=np.float32, count=size, offset=offset)
        offset += 4 * size
    if offset != len(data):
        raise ValueError(f"{len(data) - offset} bytes come after the last vector")
