"""How picture files become arrays: MNIST's IDX, CIFAR-10's binary records, and CIFAR-10 as PNG sheets.

| format        | layout                                                                                   |
| ------------- | ---------------------------------------------------------------------------------------- |
| IDX           | 0, 0, type (8: uint8), number of axes; each axis as big-endian uint32; the values        |
| CIFAR records | one byte of label, then 3,072 of red, green and blue planes, row by row; nothing between |
| CIFAR sheets  | a PNG of 1,024 pixels by the number of pictures, a row a picture; a JSON list of labels  |

Every size is held against a bound before anything is allocated.
"""

from __future__ import annotations

import gzip
import json
import math
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thinwire.common.errors import TaskError

Bytes = NDArray[np.uint8]

CLASSES = 10
MOST_PICTURES = 100_000  # of one file; the largest real one has 60,000
MOST_LABEL_BYTES = 1 << 20  # of a JSON list of labels
PIXELS = 32 * 32  # of a CIFAR picture


def read_idx(path: Path, item: tuple[int, ...]) -> Bytes:
    """Read an IDX file, gzipped or not, of examples that are each of shape `item`."""
    try:
        with path.open("rb") as raw:
            return _read_idx(path, gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw, item)
    except (OSError, EOFError, zlib.error) as error:
        raise TaskError(f"{path}: cannot be read: {error}") from error


def _read_idx(path: Path, stream: BufferedIOBase, item: tuple[int, ...]) -> Bytes:
    axes = 1 + len(item)
    head = stream.read(4 + 4 * axes)
    if len(head) < 4 + 4 * axes or head[:4] != bytes((0, 0, 8, axes)):
        raise TaskError(f"{path}: is no IDX file of uint8 with {axes} axes")
    shape = struct.unpack(f">{axes}I", head[4:])
    if not 1 <= shape[0] <= MOST_PICTURES or shape[1:] != item:
        raise TaskError(f"{path}: holds {shape}; wanted are 1 to {MOST_PICTURES} of {item}")
    wanted = math.prod(shape)
    values = stream.read(wanted + 1)
    if len(values) != wanted:
        raise TaskError(f"{path}: does not have the {wanted} values that its head promises")
    return np.frombuffer(values, np.uint8).reshape(shape)


def read_cifar_records(path: Path) -> tuple[Bytes, Bytes]:
    """Read one file of CIFAR-10's binary version: pictures (N, 3, 32, 32) and labels (N,)."""
    record = 1 + 3 * PIXELS
    num_bytes = path.stat().st_size
    if num_bytes == 0 or num_bytes % record or num_bytes > record * MOST_PICTURES:
        raise TaskError(f"{path}: {num_bytes} bytes are no whole number of records of {record} bytes")
    record_NR = np.fromfile(path, np.uint8).reshape(-1, record)
    return record_NR[:, 1:].reshape(-1, 3, 32, 32), record_NR[:, 0]


def read_cifar_sheet(path: Path) -> Bytes:
    """Read a PNG with a picture in each row: (N, 3, 32, 32)."""
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG",)) as sheet:
            if sheet.mode != "RGB" or sheet.width != PIXELS or not 1 <= sheet.height <= MOST_PICTURES:
                raise TaskError(f"{path}: is {sheet.mode}, {sheet.width}x{sheet.height}; wanted is RGB, {PIXELS} wide")
            sheet_NPC = np.asarray(sheet)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise TaskError(f"{path}: is no PNG that can be read: {error}") from error
    return sheet_NPC.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)


def read_json_labels(path: Path) -> Bytes:
    """Read a JSON list of labels: (N,)."""
    with path.open("rb") as stream:
        raw = stream.read(MOST_LABEL_BYTES + 1)
    try:
        labels = json.loads(raw) if len(raw) <= MOST_LABEL_BYTES else None
    except (ValueError, RecursionError):
        labels = None
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < CLASSES for label in labels):
        raise TaskError(f"{path}: is no JSON list of labels from 0 to {CLASSES - 1}")
    return np.array(labels, np.uint8)
