"""What a receiver allows, known before the first byte is read."""

from dataclasses import dataclass

MAX_BLOB_BYTES = 32 << 20  # a delta of 11 million parameters at density 0.5 in fp32 still fits


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one receiver for one model; everything `unpack` allocates follows from them."""

    layout_hash: bytes  # 8 bytes
    size: int  # P, parameters of the model
    max_kept: int  # most values that one blob may carry
    max_bytes: int = MAX_BLOB_BYTES  # longest blob, before decompression
