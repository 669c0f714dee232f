"""What a power cut leaves on a disk.

It is drawn sector by sector, so that of two writes which were not synced the later one may be there and the earlier one
not; the end may be cut anywhere, or hold rubbish. Names follow the same rule: a file that was removed may be back.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from thinwire.sim.file import Data

SECTOR_BYTES = 512


def names_left(live: Mapping[str, Data], safe: Mapping[str, Data], dice: random.Random) -> dict[str, Data]:
    """The files that are there: a name that was not synced is as it was, or as it would have been."""
    there = {}
    for name in sorted(live.keys() | safe.keys()):
        candidates = (live.get(name), safe.get(name))
        chosen = candidates[0] if candidates[0] is candidates[1] else dice.choice(candidates)
        if chosen is not None:
            there[name] = chosen
    return there


def left(data: Data, dice: random.Random) -> bytes:
    """The bytes of a file: what is safe, or some of what came after."""
    safe, live = data.safe, bytes(data.live)
    if safe == live:
        return live
    kind = dice.randrange(5)
    if kind == 0:
        return safe
    if kind == 1:
        return live
    if kind == 2 and len(live) > len(safe):
        return live[: dice.randrange(len(safe), len(live))]
    if kind == 3 and len(live) > len(safe):
        start = dice.randrange(len(safe), len(live))
        return live[:start] + dice.randbytes(len(live) - start)
    return _sectors(safe, live, dice)


def _sectors(safe: bytes, live: bytes, dice: random.Random) -> bytes:
    mixed = bytearray(live)
    for start in range(0, len(live), SECTOR_BYTES):
        if dice.random() < 0.5:
            end = min(start + SECTOR_BYTES, len(live))
            mixed[start:end] = safe[start:end].ljust(end - start, b"\0")
    return bytes(mixed)
