"""The residual as a file: what a device learned and has not sent, kept for the trainer after this one.

The file is float32 (P,), little-endian, and nothing else; its size and CRC-32 are in the agent's log, without whose
word no file is read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import msgspec
import numpy as np

from thinwire.common import frames
from thinwire.common.disk import Folder
from thinwire.common.errors import DamagedError, DiskError
from thinwire.trainer.replica import Replica

_PIECE = 1 << 18  # parameters written at a time: another model in memory is more than a small device has


def save(folder: Folder, frame: frames.SaveResidual, replica: Replica) -> frames.ResidualSaved:
    """Write everything unsent to the frame's file, durably and all at once, and say what it covers."""
    crc = 0

    def pieces() -> Iterator[bytes]:
        nonlocal crc
        for start in range(0, replica.residual_P.size, _PIECE):
            piece = replica.unsent(slice(start, start + _PIECE)).astype("<f4", copy=False).tobytes()
            crc = zlib.crc32(piece, crc)
            yield piece

    saved = frames.ResidualSaved(generation=frame.generation, seals=replica.next_seq - 1, refunds=frame.refunds)
    try:
        folder.replace(frame.file, pieces())
    except DiskError as error:
        return msgspec.structs.replace(saved, problem=str(error))
    return msgspec.structs.replace(saved, file_bytes=4 * replica.residual_P.size, crc=crc)


def load(folder: Folder, frame: frames.Restore, replica: Replica) -> None:
    """Begin with the residual in the frame's file; raise DiskError when it is not what was saved."""
    data = folder.read(frame.file, 0, 4 * replica.residual_P.size + 1)
    if len(data) != 4 * replica.residual_P.size or zlib.crc32(data) != frame.crc:
        raise DamagedError(f"{frame.file} is not the residual that was saved; start the agent again")
    replica.restore(np.frombuffer(data, "<f4"))
