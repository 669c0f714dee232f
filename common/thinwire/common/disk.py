"""Files that must survive: what coordinator and agent ask of a disk, and the real one.

Everything durable goes through a `Folder`, so that the fault injector can stand in with a disk that loses what was not
synced, tears it, fills up or fails. A folder is flat, and its owner is the only one who writes to it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from thinwire.common.errors import DiskError, DiskFullError, SettingsError, SyncError

FULL = {errno.ENOSPC, errno.EDQUOT}
LOCK = "lock"
TEMPORARY = ".new"


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a disk: what can still be written, and all of them."""

    free_bytes: int
    total_bytes: int


class File(Protocol):
    """A file that only grows. A failed append leaves it as it was before."""

    size: int

    def append(self, data: bytes) -> None:
        """Add bytes; raise DiskFullError when there is no room, DiskError for anything else."""

    def sync(self) -> None:
        """Return when all that was appended survives a power cut; raise DiskError, after which nothing is known."""

    def cut(self, size: int) -> None:
        """Forget what is beyond `size`, durably."""

    def close(self) -> None:
        """Let go of the file; appended bytes stay as safe as they are."""


class Folder(Protocol):
    """A flat folder of files, by name."""

    def names(self) -> list[str]:
        """The files that are there, sorted. Raise DiskError."""

    def size(self, name: str) -> int:
        """Bytes in a file. Raise DiskError."""

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file, fewer where it ends; the caller bounds `length`. Raise DiskError."""

    def open(self, name: str) -> File:
        """A file to append to, made if it is missing; its name is durable on return."""

    def replace(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a whole file, durably and all at once: a crash leaves the old one or the new one."""

    def jot(self, name: str, data: bytes) -> None:
        """Write a small file that may be old or gone after a power cut."""

    def remove(self, name: str) -> None:
        """Delete a file if it is there; a crash may bring it back."""

    def rename(self, name: str, to: str) -> None:
        """Give a file another name, durably; raise DiskError."""

    def sync_names(self) -> None:
        """Make the names in the folder, and that others are gone, survive a power cut; raise DiskError."""


class OsFile:
    """A file of the operating system."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _named(error, "open", path) from None
        self.size = os.fstat(self._handle).st_size

    def append(self, data: bytes) -> None:
        """See File."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        except OSError as error:
            self._take_back()
            raise _named(error, "write to", self._path) from None
        self.size += len(data)

    def sync(self) -> None:
        """See File."""
        try:
            os.fdatasync(self._handle)
        except OSError as error:
            raise _named(error, "sync", self._path) from None

    def cut(self, size: int) -> None:
        """See File."""
        try:
            os.ftruncate(self._handle, size)
            os.fsync(self._handle)
        except OSError as error:
            raise _named(error, "shorten", self._path) from None
        self.size = size

    def close(self) -> None:
        """See File."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _take_back(self) -> None:
        try:
            # A disk that became read-only has taken nothing, and lets nobody take anything back.
            if os.fstat(self._handle).st_size != self.size:
                os.ftruncate(self._handle, self.size)
        except OSError as error:
            # With half a record at its end the file must not grow: a closed one refuses.
            self.close()
            raise SyncError(f"cannot take back half a write to {self._path}: {error.strerror}") from None


class OsFolder:
    """A folder of the operating system, locked for this process; raise SettingsError when it cannot be had."""

    def __init__(self, path: Path, setting: str = "state.dir", *, lock: bool = True) -> None:
        self.path = path
        try:
            _make_folder(path)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) if lock else -1
        except OSError as error:
            raise SettingsError(f"{setting} is {str(path)!r}, which cannot be used: {error.strerror}") from None
        if lock:
            self._take_lock(setting)
            self.sweep()

    def names(self) -> list[str]:
        """See Folder."""
        try:
            listed = [entry.name for entry in os.scandir(self.path) if entry.is_file()]
        except OSError as error:
            raise _named(error, "list", self.path) from None
        return sorted(name for name in listed if name != LOCK and not name.endswith(TEMPORARY))

    def size(self, name: str) -> int:
        """See Folder."""
        try:
            return (self.path / name).stat().st_size
        except OSError as error:
            raise _named(error, "read", self.path / name) from None

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See Folder."""
        path = self.path / name
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(-1 if length is None else length)
        except OSError as error:
            raise _named(error, "read", path) from None

    def open(self, name: str) -> OsFile:
        """See Folder."""
        file = OsFile(self.path / name)
        self.sync_names()
        return file

    def replace(self, name: str, parts: Iterable[bytes]) -> None:
        """See Folder."""
        path, fresh = self.path / name, self.path / (name + TEMPORARY)
        try:
            with fresh.open("wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise _named(error, "write", path) from None
        self.sync_names()

    def jot(self, name: str, data: bytes) -> None:
        """See Folder."""
        try:
            with (self.path / name).open("r+b" if (self.path / name).exists() else "wb") as file:
                file.write(data)
        except OSError:
            pass  # it promises nothing

    def remove(self, name: str) -> None:
        """See Folder."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise _named(error, "delete", self.path / name) from None

    def rename(self, name: str, to: str) -> None:
        """See Folder."""
        try:
            (self.path / name).replace(self.path / to)
        except OSError as error:
            raise _named(error, "rename", self.path / name) from None
        self.sync_names()

    def space(self) -> Space:
        """What there is room for; raise DiskError."""
        try:
            stat = os.statvfs(self.path)
        except OSError as error:
            raise _named(error, "look at", self.path) from None
        return Space(stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize)

    def close(self) -> None:
        """Let another process have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _take_lock(self, setting: str) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 20, 0).decode("ascii", "replace")
            os.close(self._lock)
            raise SettingsError(
                f"{setting} is {str(self.path)!r}, which another running process uses"
                f"{f' (pid {holder})' if holder.isdigit() else ''}; stop it, or name another folder"
            ) from None
        with suppress(OSError):  # on a full disk the name is missed, the lock is not
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def sweep(self) -> None:
        """Delete what replacements that were cut short have left; nobody else may be writing here."""
        with suppress(OSError):  # it is in nobody's way but for its size
            for entry in os.scandir(self.path):
                if entry.name.endswith(TEMPORARY) and entry.is_file():
                    Path(entry.path).unlink()

    def sync_names(self) -> None:
        """Make the names in the folder survive a power cut."""
        try:
            _sync_folder(self.path)
        except OSError as error:
            # Nothing is known of the names now, and asking again would only hide it.
            raise SyncError(f"cannot sync {self.path}: {error.strerror}") from None


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        _make_folder(path.parent)
        path.mkdir(exist_ok=True)
        # The files in it may be as safe as they like: a folder whose own name is lost has none.
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _named(error: OSError, verb: str, path: Path) -> DiskError:
    kind = DiskFullError if error.errno in FULL else DiskError
    return kind(f"cannot {verb} {path}: {error.strerror}")
