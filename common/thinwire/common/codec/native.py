"""The codec's loops in C, where a compiler was there when thinwire was installed.

loops.c is compiled by tools/build_loops.py into loops.so, beside this file. numpy does the same without it, bit for bit
and about half as fast: `loops` is None then, or when the environment says THINWIRE_NATIVE=0.
"""

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIBRARY = Path(__file__).with_name("loops.so")
VERSION = 1  # of loops.c


class Loops:
    """The compiled loops. Arrays must be contiguous and of the types given: C sees only where they begin."""

    def __init__(self, path: Path) -> None:
        """Load a library; raise OSError if it cannot be loaded or is of another version."""
        self.path = path
        library = ctypes.CDLL(str(path))
        try:
            version = library.thinwire_loops_version()
            self._hits = library.thinwire_hits
            self._positions = library.thinwire_positions
            self._add_at = library.thinwire_add_at
        except AttributeError as error:
            raise OSError(f"{path} is something else: {error}") from None
        if version != VERSION:
            raise OSError(f"{path} was compiled from version {version} of loops.c; this is {VERSION}")
        pointer, count, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
        self._hits.argtypes = (pointer, pointer, count, real, pointer, pointer, count)
        self._positions.argtypes = (pointer, count, pointer, count, pointer)
        self._add_at.argtypes = (pointer, count, pointer, pointer, count, real)
        self._hits.restype = self._positions.restype = self._add_at.restype = count

    def hits(
        self,
        vector_P: NDArray[np.float32],
        increment_P: NDArray[np.float32] | None,
        floor: np.float32,
        index_H: NDArray[np.int64],
        value_H: NDArray[np.float32],
    ) -> int:
        """Move the increment into the vector and return how many reach the floor; as many as fit are stored."""
        found: int = self._hits(
            vector_P.ctypes.data,
            None if increment_P is None else increment_P.ctypes.data,
            vector_P.size,
            float(floor),
            index_H.ctypes.data,
            value_H.ctypes.data,
            min(index_H.size, value_H.size),
        )
        return found

    def positions(self, unit_U: NDArray[np.uint8], index_K: NDArray[np.int64]) -> tuple[int, int]:
        """Return how many positions the bytes are, as many as fit being stored, and where the last gap ends."""
        end = ctypes.c_int64()
        found: int = self._positions(
            unit_U.ctypes.data, unit_U.size, index_K.ctypes.data, index_K.size, ctypes.addressof(end)
        )
        return found, end.value - 1

    def add_at(
        self, sum_P: NDArray[np.float32], index_K: NDArray[np.int64], value_K: NDArray[np.float32], weight: float
    ) -> int:
        """Add the weighted values at their positions; if some are outside, return how many, and add nothing."""
        outside: int = self._add_at(
            sum_P.ctypes.data, sum_P.size, index_K.ctypes.data, value_K.ctypes.data, index_K.size, weight
        )
        return outside


def plain(*arrays: NDArray[Any]) -> bool:
    """Whether C may read the arrays as they lie in memory."""
    return all(array.flags.c_contiguous and array.flags.aligned for array in arrays)


def load(path: Path, environment: Mapping[str, str]) -> tuple[Loops | None, str]:
    """Return the loops, or None, and which loops these are in a few words."""
    if environment.get("THINWIRE_NATIVE") == "0":
        return None, "numpy loops (THINWIRE_NATIVE=0)"
    if not path.exists():
        return None, "numpy loops (none were compiled; install thinwire again where there is a C compiler)"
    try:
        return Loops(path), "native loops"
    except OSError as error:
        return None, f"numpy loops ({error}; install thinwire again)"


loops, description = load(LIBRARY, os.environ)
