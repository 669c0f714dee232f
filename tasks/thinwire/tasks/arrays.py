"""How a data set's .npz is read: every array is declared beforehand, and whatever differs is refused.

`numpy.load` would allocate what a file's header claims. Here the archive's directory and each header are held
against the declaration first: names, types, number of dimensions, sizes; then the bytes are read.
"""

from __future__ import annotations

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
        return sizes_fit and dtype == np.dtype(self.dtype) and int(np.prod(shape, dtype=object)) <= self.most


def read_arrays(path: Path, specs: Mapping[str, ArraySpec]) -> dict[str, Array]:
    """Read exactly the declared arrays; raise TaskError on any other file."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_names(path, archive, specs)
            return {name: _read_one(path, archive, name, spec) for name, spec in specs.items()}
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise TaskError(f"{path}: cannot be read as a data set: {error}") from error


def _check_names(path: Path, archive: zipfile.ZipFile, specs: Mapping[str, ArraySpec]) -> None:
    found = sorted(archive.namelist())
    wanted = sorted(f"{name}.npy" for name in specs)
    if found != wanted:
        raise TaskError(f"{path}: holds {found}, but {wanted} are wanted")


def _read_one(path: Path, archive: zipfile.ZipFile, name: str, spec: ArraySpec) -> Array:
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        try:
            shape, order, dtype = _header(stream)
        except ValueError as error:
            raise TaskError(f"{path}: {name} has a damaged header: {error}") from error
        if not spec.admits(shape, dtype):
            raise TaskError(
                f"{path}: {name} is {dtype} {shape}; wanted is {spec.dtype} {spec.shape}, at most {spec.most} elements"
            )
        num_bytes = int(np.prod(shape)) * dtype.itemsize
        raw = stream.read(num_bytes + 1)
    if len(raw) != num_bytes:
        raise TaskError(f"{path}: {name} does not have the {num_bytes} bytes that its header promises")
    return np.frombuffer(raw, dtype).reshape(shape, order=order)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype[Any]]:
    major, _ = np.lib.format.read_magic(stream)
    if major != 1:
        raise ValueError(f"npy version {major}; 1 is wanted")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=HEADER_BYTES)
    if dtype.hasobject:
        raise ValueError("an array of objects, which only unpickling could read")
    return shape, "F" if fortran else "C", dtype
