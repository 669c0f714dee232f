"""How many deltas a second does one coordinator take, from eight devices at once?"""

from __future__ import annotations

from thinwire.bench.load import SENDERS, SETS, Taken, sample_of, send
from thinwire.bench.lone import Lone
from thinwire.bench.rows import Row, told
from thinwire.common.layout import Layout, TensorSpec

UNDER_WAY = 4
WARM_DELTAS = 16


async def rows(name: str, shape: tuple[int, int], deltas: int) -> list[Row]:
    """Send that many deltas from each sender to a model of that shape."""
    layout = Layout((TensorSpec("weight", shape),))
    taken, sample = Taken(), sample_of(layout)
    with Lone.start("x".join(map(str, shape)), *SETS) as lone:
        await send(taken, lone, sample, deltas, under_way=UNDER_WAY, warm=WARM_DELTAS)
    each = f"{layout.size:,} parameters, 1 %, {len(sample[0].payload):,} B each"
    source = f"{each}, {SENDERS} senders, a commit for every {SENDERS}"
    return [
        told("transport", f"deltas of {name}, a second", taken.rate, "1/s", source),
        told("transport", f"deltas of {name}, a second of one core", taken.core_rate, "1/s", source),
    ]
