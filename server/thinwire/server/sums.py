"""Sums that come out the same to the last bit on every machine, for what a journal is held against.

BLAS, behind `@`, `np.dot` and `np.linalg.norm`, adds in an order that depends on the processor and on how many threads
there are. numpy's own sums do not: products are made first, each rounded by itself, then added in a fixed order. And
Python's `sum` of floats rounds otherwise from 3.12 on; `math.fsum` rounds once, everywhere. Shapes: K numbers of one
vector; N and G vectors of S numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def length(value_K: NDArray[np.floating]) -> float:
    """Euclidean norm, added up in float64."""
    return math.sqrt(float(np.add.reduce(np.square(value_K, dtype=np.float64))))


def products(one_NS: Floats, other_GS: Floats) -> Floats:
    """Inner product of each vector with each other one, (N, G)."""
    columns = [np.add.reduce(one_NS * other_S, axis=-1) for other_S in other_GS]
    return np.stack(columns, axis=-1)
