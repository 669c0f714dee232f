"""Which tensor lies where in the flat vector that both sides speak of.

A model is one float32 vector of P parameters: its tensors, flattened, one after the other in a fixed order. A layout
names them. Its hash, the first 8 bytes of SHA-256 over the JSON below, stands in every delta and commit, so that bytes
made for another model are refused before they are decoded.

    [["conv.weight", [16, 3, 3, 3], "float32"], ["conv.bias", [16], "float32"], ...]      (without spaces, ASCII)
"""

import functools
import hashlib
import json
import math
from dataclasses import dataclass
from itertools import accumulate

MAX_JSON_BYTES = 1 << 20  # a model of 10,000 tensors needs about half of it
MAX_TENSORS = 1 << 14
MAX_NAME = 256
MAX_DIMENSIONS = 8
MAX_SIZE = (1 << 32) - 1  # positions and counts are u32 on the wire
DTYPES = frozenset({"float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool"})


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor of the model: its name, its shape and the type it has in the user's model."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= MAX_NAME:
            raise ValueError(f"a tensor's name has {len(self.name)} characters; it must have 1 to {MAX_NAME}")
        if len(self.shape) > MAX_DIMENSIONS:
            raise ValueError(f"{self.name} has {len(self.shape)} dimensions; at most {MAX_DIMENSIONS} are allowed")
        if not all(1 <= length <= MAX_SIZE for length in self.shape):
            raise ValueError(f"{self.name} has the shape {self.shape}; each dimension must be 1 to {MAX_SIZE}")
        if self.dtype not in DTYPES:
            raise ValueError(f"{self.name} is of type {self.dtype!r:.40}; known are {', '.join(sorted(DTYPES))}")

    @property
    def size(self) -> int:
        """How many parameters the tensor has; a scalar has one."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Layout:
    """The tensors of a model in the order in which they lie in its flat vector."""

    tensors: tuple[TensorSpec, ...]

    def __post_init__(self) -> None:
        if len(self.tensors) > MAX_TENSORS:
            raise ValueError(f"a layout has {len(self.tensors)} tensors; at most {MAX_TENSORS} are allowed")
        if len({tensor.name for tensor in self.tensors}) != len(self.tensors):
            raise ValueError("two tensors of a layout have the same name; each needs its own")
        if self.size > MAX_SIZE:
            raise ValueError(f"a layout of {self.size} parameters; at most {MAX_SIZE} fit the wire format")

    @property
    def size(self) -> int:
        """P, the length of the flat vector."""
        return sum(tensor.size for tensor in self.tensors)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where each tensor begins in the flat vector."""
        return tuple(accumulate((tensor.size for tensor in self.tensors), initial=0))[: len(self.tensors)]

    @property
    def hash(self) -> bytes:
        """The 8 bytes by which deltas and commits name this layout."""
        return _hash(self)

    def to_json(self) -> str:
        """Write the one canonical text of this layout."""
        rows = [[tensor.name, list(tensor.shape), tensor.dtype] for tensor in self.tensors]
        return json.dumps(rows, separators=(",", ":"), ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Layout":
        """Read what `to_json` wrote; raise ValueError on anything else, before it can grow."""
        if len(text) > MAX_JSON_BYTES:
            raise ValueError(f"a layout of {len(text)} bytes; at most {MAX_JSON_BYTES} are read")
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"a layout that is not JSON: {error}") from error
        if not isinstance(rows, list) or len(rows) > MAX_TENSORS:
            raise ValueError(f"a layout must be a list of at most {MAX_TENSORS} tensors")
        return cls(tuple(_tensor(row) for row in rows))


@functools.lru_cache(maxsize=64)
def _hash(layout: "Layout") -> bytes:
    # Every blob is held against it; a layout never changes, so it is worked out once.
    return hashlib.sha256(layout.to_json().encode("ascii")).digest()[:8]


def _tensor(row: object) -> TensorSpec:
    match row:
        case [str(name), list(shape), str(dtype)] if all(type(length) is int for length in shape):
            return TensorSpec(name, tuple(shape), dtype)
    raise ValueError(f"a tensor of a layout must be [name, [dimensions], type], not {row!r:.80}")
