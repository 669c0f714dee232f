"""How one column of bytes is stored: as one zstd frame, or raw when zstd does not shrink it.

Unlike columns go into frames of their own, since zstd learns one Huffman table a block. Frames are made at level 1 (a
higher level buys 5 % for 260 times the time), declare their content's size, and carry neither dictionary nor checksum:
the blob's CRC covers them.
"""

from dataclasses import dataclass

import zstandard

from thinwire.common.codec.errors import CodecError, Reason

LEVEL = 1
MAX_WINDOW = 8 << 20  # what a decoder must be ready to allocate, whatever the frame's content
_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class Stored:
    """A column as it is stored."""

    column: bytes | memoryview
    raw: bool


def shrink(column: bytes) -> Stored:
    """Store a column in the smaller way."""
    packed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False, write_dict_id=False).compress(column)
    return Stored(packed, raw=False) if len(packed) < len(column) else Stored(column, raw=True)


def restore(stored: Stored, size: int) -> bytes | memoryview:
    """Return a column of `size` bytes; nothing is allocated before the frame agrees on that size."""
    packed = stored.column
    if stored.raw:
        if len(packed) != size:
            raise CodecError(Reason.BAD_COLUMN, f"a raw column of {len(packed)} bytes; {size} were declared")
        return packed
    _screen(packed, size)
    try:
        # max_output_size does not bound a frame that declares its size; _screen does.
        frame = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        column = frame.decompress(packed, allow_extra_data=False)
    except (zstandard.ZstdError, MemoryError) as error:
        raise CodecError(Reason.BAD_COLUMN, f"a column that zstd cannot read: {error}") from error
    if len(column) != size:
        raise CodecError(Reason.BAD_COLUMN, f"a column of {len(column)} bytes; {size} were declared")
    return column


def _screen(packed: bytes | memoryview, size: int) -> None:
    # A skippable frame has another magic, and a size of its own that means something else.
    if packed[:4] != _MAGIC:
        raise CodecError(Reason.BAD_COLUMN, "a column that is no zstd frame")
    try:
        frame = zstandard.get_frame_parameters(packed)
    except zstandard.ZstdError as error:
        raise CodecError(Reason.BAD_COLUMN, f"a zstd frame with a broken header: {error}") from error
    if frame.content_size != size:
        raise CodecError(Reason.BAD_COLUMN, f"a zstd frame of {frame.content_size} bytes; {size} were declared")
    if frame.window_size > MAX_WINDOW:
        raise CodecError(Reason.BAD_COLUMN, f"a zstd window of {frame.window_size} bytes; at most {MAX_WINDOW}")
    if frame.dict_id != 0:
        raise CodecError(Reason.BAD_COLUMN, f"a zstd frame that asks for dictionary {frame.dict_id}; there are none")
