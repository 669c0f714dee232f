"""A coordinator that believes whatever it is sent, to see what its checks cost.

It is one only in a process of a benchmark, which replaces the checks by nothing: there is no setting for it. What is
left out: the SHA-256 of a delta, the CRC, lengths and counts of its blob, the screening of its zstd frames, its
codebook, and its norm. What is left in is what no decoder can do without, and the bounds that the loops in C check.

    python -m thinwire.bench.trusting ROWSxCOLUMNS [KEY=VALUE]...
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import uvloop

from thinwire.bench.lone import serve
from thinwire.common.codec import blob, columns, header
from thinwire.common.codec.valuecode import BOOK_SIZE
from thinwire.server import admit, staging

CHECKS = (
    (header, "_demand_known"), (header, "_demand_whole"), (header, "_demand_counts"), (header, "_demand_lengths"),
    (columns, "_screen"),
)  # fmt: skip


def trust() -> None:
    """Believe everything from here on, in this process."""
    for module, name in CHECKS:
        _replace(module, name, lambda *_: None)
    _replace(blob, "_read_book", _book)
    _replace(admit, "length", lambda _: 0.0)
    _replace(staging.Staging, "_finish", _finish)


def _replace(owner: Any, name: str, by: Any) -> None:
    # A check that was renamed would otherwise stay, and seem to cost nothing.
    if not hasattr(owner, name):
        raise RuntimeError(f"{owner} has no {name} any more; this benchmark must be told what became of it")
    setattr(owner, name, by)


def _book(view: memoryview, found: header.Header) -> Any:
    return np.frombuffer(view, dtype="<f4", count=BOOK_SIZE[found.value_code], offset=found.book_at)


def _finish(self: staging.Staging, device: str, partial: Any) -> staging.WholeDelta:
    self.forget(device)
    return staging.WholeDelta(partial.seq, partial.header, bytes(partial.held))


if __name__ == "__main__":
    trust()
    uvloop.run(serve(*sys.argv[1:]))
