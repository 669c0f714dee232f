"""How a data set's .npz is read: every array is declared beforehand, and whatever differs is refused.

`numpy.load` would allocate what a file's header claims. Here the archive's directory and each header are held
against the declaration first: names, types, number of dimensions, sizes; then the bytes are read. What is stored
uncompressed is mapped, not read: ten trainers on one machine then share one copy of the pictures.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from thinwire.common.errors import TaskError

Array = NDArray[Any]

HEADER_BYTES = 4096  # a .npy header is about 128 bytes; the rest is room for long declarations
LOCAL_HEAD = struct.Struct("<26xHH")  # of a zip member: 30 bytes, the lengths of its name and its extra field last


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array as declared. A size of None in `shape` is free, up to `most` elements in all."""

    dtype: str
    shape: tuple[int | None, ...]
    most: int = 1 << 20

    def admits(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
        """Whether an array of this shape and type is what was declared."""
        sizes_fit = len(shape) == len(self.shape) and all(
            want is None or want == size for want, size in zip(self.shape, shape, strict=True)
        )
        return sizes_fit and dtype == np.dtype(self.dtype) and math.prod(shape) <= self.most


@dataclass(frozen=True, slots=True)
class _Head:
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[Any]
    length: int  # of the header itself, in front of the values

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_arrays(path: Path, specs: Mapping[str, ArraySpec]) -> dict[str, Array]:
    """Read exactly the declared arrays; raise TaskError on any other file."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_names(path, archive, specs)
            return {name: _read_one(path, archive, name, spec) for name, spec in specs.items()}
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise TaskError(f"{path}: cannot be read as a data set: {error}") from error


def _check_names(path: Path, archive: zipfile.ZipFile, specs: Mapping[str, ArraySpec]) -> None:
    found = sorted(archive.namelist())
    wanted = sorted(f"{name}.npy" for name in specs)
    if found != wanted:
        raise TaskError(f"{path}: holds {found}, but {wanted} are wanted")


def _read_one(path: Path, archive: zipfile.ZipFile, name: str, spec: ArraySpec) -> Array:
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        head = _head(stream)
        if not spec.admits(head.shape, head.dtype):
            raise TaskError(
                f"{path}: {name} is {head.dtype} {head.shape}; wanted is {spec.dtype} {spec.shape}, "
                f"at most {spec.most} elements"
            )
        if member.file_size != head.length + head.num_bytes:
            raise TaskError(f"{path}: {name} does not have the {head.num_bytes} bytes that its header promises")
        if member.compress_type == zipfile.ZIP_STORED:
            return _mapped(path, member, head)
        return np.frombuffer(stream.read(head.num_bytes), head.dtype).reshape(head.shape, order=head.order)


def _head(stream: IO[bytes]) -> _Head:
    major, _ = np.lib.format.read_magic(stream)
    if major != 1:
        raise ValueError(f"npy version {major}; 1 is wanted")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=HEADER_BYTES)
    if dtype.hasobject:
        raise ValueError("an array of objects, which only unpickling could read")
    return _Head(shape, "F" if fortran else "C", dtype, stream.tell())


def _mapped(path: Path, member: zipfile.ZipInfo, head: _Head) -> Array:
    with path.open("rb") as stream:
        stream.seek(member.header_offset)
        name_length, extra_length = LOCAL_HEAD.unpack(stream.read(LOCAL_HEAD.size))
    begin = member.header_offset + LOCAL_HEAD.size + name_length + extra_length + head.length
    mapped = np.memmap(path, head.dtype, "r", begin, head.shape, head.order)
    return mapped.view(np.ndarray)
