"""Non-trainable buffers, such as batch-norm moments, on the wire: whole, float32, a blob of their own.

They are states, not gradients: never pruned, never accumulated, only averaged. They travel behind the blob of a delta
or a commit, under the hash of their own layout.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import CodecError, Limits, Packet, Reason, ValueCode, pack, quantise, unpack
from thinwire.common.layout import Layout

Vector = NDArray[np.float32]


def pack_statistics(buffers_B: Vector, layout: Layout, version: int) -> bytes:
    """Statistics (B,) as of `version`; empty bytes for a model without any."""
    if not layout.size:
        return b""
    everything = np.arange(layout.size, dtype=np.int64)
    return pack(Packet(layout.hash, version, layout.size, everything, quantise(buffers_B, ValueCode.FP32)))


def unpack_statistics(blob: bytes, layout: Layout) -> Vector:
    """Statistics (B,); raise CodecError when they are not exactly those of this layout."""
    found = unpack(blob, Limits(layout.hash, layout.size, layout.size))
    if len(found.index_K) != layout.size:
        raise CodecError(Reason.WRONG_COUNT, f"{len(found.index_K)} statistics for a model of {layout.size}")
    return found.value_K
