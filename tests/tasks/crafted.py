"""Tiny picture files in the formats of the large ones, and damaged copies of those that come with the package."""

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thinwire.tasks.pictures import ARRAYS, Pictures


def pictures(num: int, shape: tuple[int, int, int] = (1, 28, 28), seed: int = 0) -> Pictures:
    draw = np.random.default_rng(seed)

    def image_N(count: int) -> NDArray[np.uint8]:
        return draw.integers(0, 256, (count, *shape), np.uint8)

    def label_N(count: int) -> NDArray[np.uint8]:
        return (np.arange(count) % 10).astype(np.uint8)

    return Pictures(image_N(num), label_N(num), image_N(20), label_N(20))


def idx(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def idx_files(made: Pictures, suffix: str = "") -> dict[str, bytes]:
    pack = gzip.compress if suffix == ".gz" else bytes
    return {
        f"{part}-{kind}-ubyte{suffix}": pack(idx(array))
        for part, kind, array in (
            ("train", "images-idx3", made.train_image[:, 0]),
            ("train", "labels-idx1", made.train_label),
            ("t10k", "images-idx3", made.test_image[:, 0]),
            ("t10k", "labels-idx1", made.test_label),
        )
    }


def write_all(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def records(image_N: NDArray[np.uint8], label_N: NDArray[np.uint8]) -> bytes:
    return np.concatenate([label_N[:, None], image_N.reshape(len(image_N), -1)], axis=1).tobytes()


def sha256_of_arrays(made: Pictures) -> str:
    return hashlib.sha256(b"".join(getattr(made, name).tobytes() for name in ARRAYS)).hexdigest()


def same(one: Pictures, other: Pictures) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS)


def damaged(source: Path, target: Path, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Path:
    """Write a copy in which one array is another."""
    arrays = dict(np.load(source))
    arrays[name] = change(arrays[name])
    np.savez(target, **arrays)
    return target
