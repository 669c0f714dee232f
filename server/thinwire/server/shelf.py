"""Half deltas on disk, so that a restart of the coordinator costs a device at most the chunk that was on its way.

Nothing here is promised: the device has the bytes, and what comes off the shelf is held against the SHA-256 that the
device announced like everything else. So nothing is synced, and whatever is odd is thrown away.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from thinwire.common.values import NAME_PATTERN, DeltaHeader

_ENDING = ".part"
_LENGTH = struct.Struct("<I")
_NAME = re.compile(NAME_PATTERN)
MAX_LABEL_BYTES = 4096


class Label(msgspec.Struct, frozen=True):
    """Whose the bytes are, before the bytes."""

    seq: int
    header: DeltaHeader


class Shelf:
    """At most one half delta a device, each a file in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with suppress(OSError):  # a full disk must not keep the coordinator from starting
            folder.mkdir(parents=True, exist_ok=True)

    def begin(self, device: str, seq: int, header: DeltaHeader) -> None:
        """Start a delta; what was there of another one is gone."""
        label = msgspec.msgpack.encode(Label(seq, header))
        with suppress(OSError):
            self._path(device).write_bytes(_LENGTH.pack(len(label)) + label)

    def add(self, device: str, data: bytes) -> None:
        """Put the next bytes beside those that are there."""
        with suppress(OSError), self._path(device).open("ab") as file:
            file.write(data)

    def drop(self, device: str) -> None:
        """The delta is whole, or void."""
        with suppress(OSError):
            self._path(device).unlink(missing_ok=True)

    def load(self, max_bytes: int) -> Iterator[tuple[str, int, DeltaHeader, bytes]]:
        """Device, number, header and bytes of each half delta, as long as together they are not too much."""
        for path in sorted(self._folder.glob(f"*{_ENDING}")):
            device = path.name.removesuffix(_ENDING)
            found = _read(path, max_bytes) if _NAME.fullmatch(device) else None
            if found is None:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
                continue
            label, data = found
            max_bytes -= label.header.total_bytes
            yield device, label.seq, label.header, data

    def _path(self, device: str) -> Path:
        return self._folder / f"{device}{_ENDING}"


def _read(path: Path, max_bytes: int) -> tuple[Label, bytes] | None:
    with suppress(OSError, struct.error, msgspec.MsgspecError):
        if path.stat().st_size > max_bytes + MAX_LABEL_BYTES:
            return None
        content = path.read_bytes()
        (length,) = _LENGTH.unpack_from(content)
        if length <= MAX_LABEL_BYTES:
            label = msgspec.msgpack.decode(content[_LENGTH.size : _LENGTH.size + length], type=Label)
            data = content[_LENGTH.size + length :]
            if len(data) < label.header.total_bytes <= max_bytes:
                return label, data
    return None
