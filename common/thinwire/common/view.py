"""A folder of files as it is at one moment, for readers beside its owner: nothing that is done to it reaches the disk.

Files are opened once, so one that the owner removes meanwhile can still be read, and each ends where it ended then.
What a log cuts off when it is opened is cut off for this reader alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from thinwire.common.disk import LOCK, TEMPORARY
from thinwire.common.errors import DiskError
from thinwire.common.log import MARK

# The owner may drop files between the look at their names and at them; again and again it will not.
TRIES = 8


class View:
    """See thinwire.common.disk.Folder; raise DiskError when the folder cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handles: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        # First: a log that is looked at later holds all that its watermark says, or more.
        self._marks = self._read_marks()
        for attempt in range(1, TRIES + 1):
            try:
                self._open_all()
                break
            except FileNotFoundError:
                self.close()
                if attempt == TRIES:
                    raise DiskError(f"{path} changes too fast to be read; try again") from None
            except OSError as error:
                self.close()
                raise DiskError(f"cannot read {path}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def names(self) -> list[str]:
        """See Folder."""
        return sorted(self._sizes)

    def size(self, name: str) -> int:
        """See Folder."""
        return self._sizes[name]

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See Folder."""
        if name not in self._sizes:
            raise DiskError(f"cannot read {self.path / name}: no such file or directory")
        end = self._sizes[name] if length is None else min(self._sizes[name], start + length)
        if name in self._marks:
            return self._marks[name][start:end]
        return self._read_file(name, start, end)

    def open(self, name: str) -> ViewedFile:
        """See Folder."""
        return ViewedFile(self._sizes, name)

    def replace(self, name: str, parts: Iterable[bytes]) -> None:
        """Refuse it."""
        raise DiskError(f"{self.path / name} is only looked at")

    def jot(self, name: str, data: bytes) -> None:
        """Nothing: it promises nothing."""

    def remove(self, name: str) -> None:
        """Not there any more for this reader."""
        self._sizes.pop(name, None)

    def sync_names(self) -> None:
        """Nothing has changed."""

    def rename(self, name: str, to: str) -> None:
        """Refuse it."""
        raise DiskError(f"{self.path / name} is only looked at")

    def close(self) -> None:
        """Let go of the files."""
        for handle in self._handles.values():
            os.close(handle)
        self._handles.clear()
        self._sizes.clear()

    def _read_marks(self) -> dict[str, bytes]:
        try:
            return {path.name: path.read_bytes() for path in self.path.glob(f"*{MARK}")}
        except OSError as error:
            raise DiskError(f"cannot read {self.path}: {error.strerror}") from None

    def _open_all(self) -> None:
        for entry in sorted(os.scandir(self.path), key=lambda entry: entry.name):
            if entry.name == LOCK or entry.name.endswith(TEMPORARY) or not entry.is_file():
                continue
            if entry.name in self._marks:
                self._sizes[entry.name] = len(self._marks[entry.name])
            else:
                self._handles[entry.name] = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
        # A log's newest segment is looked at last, so it goes on from those before it.
        self._sizes |= {name: os.fstat(handle).st_size for name, handle in self._handles.items()}

    def _read_file(self, name: str, start: int, end: int) -> bytes:
        parts = []
        try:
            while start < end and (part := os.pread(self._handles[name], end - start, start)):
                parts.append(part)
                start += len(part)
        except OSError as error:
            raise DiskError(f"cannot read {self.path / name}: {error.strerror}") from None
        return parts[0] if len(parts) == 1 else b"".join(parts)


class ViewedFile:
    """See thinwire.common.disk.File; it may be cut, for this reader, and does not grow."""

    def __init__(self, sizes: dict[str, int], name: str) -> None:
        self._sizes, self._name = sizes, name
        self.size = sizes.get(name, 0)

    def append(self, data: bytes) -> None:
        """Refuse it."""
        raise DiskError(f"{self._name} is only looked at")

    def sync(self) -> None:
        """Nothing was changed."""

    def cut(self, size: int) -> None:
        """See File."""
        self.size = self._sizes[self._name] = size

    def close(self) -> None:
        """Nothing is held."""
