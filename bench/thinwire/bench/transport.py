"""What does real gRPC cost: deltas a second, memory for each device, bytes that are not payload?

    framing     what is added to a delta's bytes
    senders     deltas a second through one coordinator
    sessions    a connected, idle device, at the coordinator
    agents      an agent's memory, and what an idle stream carries

All of it over loopback, in plain text. Bytes are those of TCP's payload, as the kernel counts them.

    python -m thinwire.bench.transport [--quick] [--json]
"""

from __future__ import annotations

import logging

import uvloop

from thinwire.bench import agents, framing, senders, sessions
from thinwire.bench.rows import Row, main

SMALL, LARGE = (316, 317), (3342, 3343)  # 0.1 and 11.17 million parameters
# At least one round of keep-alive, which is all that an idle stream carries.
IDLE_MINUTES, QUICK_IDLE_MINUTES = 3.0, 1.05


def run(quick: bool = False) -> list[Row]:
    """Measure all of it; an idle stream takes its minute even when it is quick."""
    # The coordinators in this process warn of plain text and of devices that leave.
    logging.getLogger("thinwire").setLevel(logging.ERROR)
    return uvloop.run(_run(quick))


async def _run(quick: bool) -> list[Row]:
    return [
        *await framing.rows(),
        *await senders.rows("0.1 M parameters", SMALL, 250 if quick else 2500),
        *await senders.rows("11 M parameters", LARGE, 10 if quick else 100),
        *await sessions.rows(200 if quick else 2000),
        *await agents.snapshot_rows(),
        *await agents.idle_rows(QUICK_IDLE_MINUTES if quick else IDLE_MINUTES),
    ]


if __name__ == "__main__":
    main(run)
