"""From a vector to few bytes and back: select, quantise, pack; unpack. The bytes are described in docs/wire.md."""

from thinwire.common.codec.blob import Packet, Unpacked, pack, unpack
from thinwire.common.codec.errors import CodecError, Reason
from thinwire.common.codec.limits import Limits
from thinwire.common.codec.scatter import add_at
from thinwire.common.codec.topk import add_and_select, kept_of, select
from thinwire.common.codec.valuecode import Quantised, ValueCode, quantise

__all__ = [
    "CodecError",
    "Limits",
    "Packet",
    "Quantised",
    "Reason",
    "Unpacked",
    "ValueCode",
    "add_and_select",
    "add_at",
    "kept_of",
    "pack",
    "quantise",
    "select",
    "unpack",
]
