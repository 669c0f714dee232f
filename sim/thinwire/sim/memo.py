"""What is the same for all devices of a world is worked out once: words to many, and commits that many unpack.

Both are pure, and what they give is never changed, so a history is the same with and without.
"""

from __future__ import annotations

import functools

from thinwire.common import wire
from thinwire.common.codec import Limits, Unpacked, unpack
from thinwire.common.values import FromCoordinator


@functools.lru_cache(maxsize=256)
def carried(word: FromCoordinator) -> tuple[int, FromCoordinator]:
    """The size on the wire of a word to a device, and the word as it is heard there."""
    message = wire.response(word)
    return message.ByteSize(), wire.from_response(message)


@functools.lru_cache(maxsize=16)
def unpacked(blob: bytes, limits: Limits) -> Unpacked:
    """What is in a blob; the arrays cannot be written to, for others hold them too."""
    found = unpack(blob, limits)
    found.index_K.flags.writeable = found.value_K.flags.writeable = False
    return found
