"""A whole model at one version, as bytes: safetensors inside one zstd frame.

The file holds each parameter as float32 under its own name, each non-trainable statistic under `buffer:` + its name,
and in its metadata the version, the layout's hash and the checksum of the parameters. Anyone can read it with the
safetensors library after `zstd -d`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from thinwire.common import checksum
from thinwire.common.layout import Layout

MAX_HEADER_BYTES = 1 << 20
BUFFER_PREFIX = "buffer:"
Vector = NDArray[np.float32]


class SnapshotError(ValueError):
    """A snapshot that is damaged, lies about its size, or belongs to another model."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The model at `version`: parameters (P,) and statistics of non-trainable buffers (B,), both float32."""

    version: int
    weights_P: Vector
    buffers_B: Vector


def to_safetensors(snapshot: Snapshot, layout: Layout, buffer_layout: Layout) -> bytes:
    """A snapshot as a safetensors file; the same bytes for the same model, whoever makes them."""
    tensors = dict(_tensors(snapshot.weights_P, layout, ""))
    tensors.update(_tensors(snapshot.buffers_B, buffer_layout, BUFFER_PREFIX))
    metadata = {
        "version": str(snapshot.version),
        "layout_hash": layout.hash.hex(),
        "checksum": str(checksum.full(snapshot.weights_P)),
    }
    return _canonical(save(tensors, metadata))


def pack_snapshot(snapshot: Snapshot, layout: Layout, buffer_layout: Layout) -> bytes:
    """The bytes of a snapshot; the same for the same model, whoever packs it."""
    # The frame's own checksum covers what the parameters' does not: version and statistics.
    squeeze = zstandard.ZstdCompressor(level=1, write_checksum=True)
    return squeeze.compress(to_safetensors(snapshot, layout, buffer_layout))


def unpack_snapshot(packed: bytes, layout: Layout, buffer_layout: Layout) -> Snapshot:
    """The model in `packed`; raise SnapshotError on anything odd, before allocating what it claims."""
    raw = _inflate(packed, 4 * (layout.size + buffer_layout.size) + MAX_HEADER_BYTES)
    metadata = _metadata(raw)
    if metadata.get("layout_hash") != layout.hash.hex():
        raise SnapshotError(f"layout {metadata.get('layout_hash')!r}; this model's is {layout.hash.hex()}")
    try:
        tensors = load(raw)
    except SafetensorError as error:
        raise SnapshotError(f"not a safetensors file: {error}") from None
    weights_P = _flatten(tensors, layout, "")
    if str(checksum.full(weights_P)) != metadata.get("checksum"):
        raise SnapshotError("the checksum of the parameters does not match; the snapshot is damaged")
    return Snapshot(int(metadata["version"]), weights_P, _flatten(tensors, buffer_layout, BUFFER_PREFIX))


def _canonical(raw: bytes) -> bytes:
    # The library writes the metadata in an order that changes from one call to the next.
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.dumps(json.loads(raw[8:start]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return b"".join((len(header).to_bytes(8, "little"), header, raw[start:]))


def _inflate(packed: bytes, limit: int) -> bytes:
    # max_output_size does not bound a frame that declares its own size, so the declaration is judged first.
    try:
        declared = zstandard.get_frame_parameters(packed).content_size
        if not 0 < declared <= limit:
            raise SnapshotError(
                f"the snapshot declares {declared} bytes; at most {limit} is right for this model"
            )
        raw = zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise SnapshotError(f"not a zstd frame: {error}") from None
    return raw


def _metadata(raw: bytes) -> dict[str, str]:
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or length > min(MAX_HEADER_BYTES, len(raw) - 8):
        raise SnapshotError(f"the safetensors header claims {length} bytes")
    try:
        metadata: Any = json.loads(raw[8 : 8 + length])["__metadata__"]
        int(metadata["version"])
    except (ValueError, KeyError, TypeError):
        raise SnapshotError("the safetensors header holds no version") from None
    return dict(metadata)


def _tensors(vector: Vector, layout: Layout, prefix: str) -> list[tuple[str, Vector]]:
    return [
        (prefix + spec.name, vector[start : start + spec.size].reshape(spec.shape))
        for spec, start in zip(layout.tensors, layout.offsets, strict=True)
    ]


def _flatten(tensors: dict[str, Any], layout: Layout, prefix: str) -> Vector:
    vector = np.zeros(layout.size, np.float32)
    for spec, start in zip(layout.tensors, layout.offsets, strict=True):
        tensor = tensors.get(prefix + spec.name)
        if tensor is None or tensor.dtype != np.float32 or tuple(tensor.shape) != tuple(spec.shape):
            raise SnapshotError(f"tensor {prefix + spec.name!r} is missing or of another shape or type")
        vector[start : start + spec.size] = tensor.reshape(-1)
    if not np.isfinite(vector).all():
        raise SnapshotError("the snapshot holds values that are not finite")
    return vector
