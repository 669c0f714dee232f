"""Files in memory, as a log wants a folder: whoever opens a log may cut it, so a copy is opened."""

from __future__ import annotations

from collections.abc import Iterable


class Copy:
    """See thinwire.common.disk.Folder; `files` by name."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def names(self) -> list[str]:
        """See Folder."""
        return sorted(self._files)

    def size(self, name: str) -> int:
        """See Folder."""
        return len(self._files[name])

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See Folder."""
        return self._files[name][start : None if length is None else start + length]

    def open(self, name: str) -> CopyFile:
        """See Folder."""
        return CopyFile(self._files, name)

    def jot(self, name: str, data: bytes) -> None:
        """See Folder."""
        self._files[name] = data

    def remove(self, name: str) -> None:
        """See Folder."""
        del self._files[name]

    def rename(self, name: str, to: str) -> None:
        self._files[to] = self._files.pop(name)

    def replace(self, name: str, parts: Iterable[bytes]) -> None:
        """See Folder."""
        self._files[name] = b"".join(parts)


class CopyFile:
    """See thinwire.common.disk.File."""

    def __init__(self, files: dict[str, bytes], name: str) -> None:
        self._files, self._name = files, name
        self.size = len(files[name])

    def append(self, data: bytes) -> None:
        """See File."""
        self._files[self._name] += data

    def cut(self, size: int) -> None:
        """See File."""
        self._files[self._name] = self._files[self._name][:size]

    def sync(self) -> None:
        """See File."""

    def close(self) -> None:
        """See File."""
