"""The fault table as a page: what was measured, how, and on what."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from statistics import median

from thinwire.chaos.peers.keeper import RESTART_S
from thinwire.chaos.peers.script import CUT_S, Blow, Row
from thinwire.chaos.peers.setup import CLIENTS, LINE, PAYLOAD_BYTES, TRAIN_S, PeersOptions
from thinwire.chaos.wire import lines_of

HEAD = (
    "fault", "system", "runs", "results trained", "lost", "duplicated", "human actions", "ended by itself",
    "s until training goes on", "s until the client's results are used",
)  # fmt: skip


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """A line for each fault and system; sums over runs, and the median of times."""
    lines: list[tuple[str, ...]] = []
    for fault in map(str, Blow):
        for system in dict.fromkeys(row.system for row in rows):
            found = [row for row in rows if (row.fault, row.system) == (fault, system)]
            if found:
                lines.append((
                    fault,
                    system,
                    str(len(found)),
                    str(sum(row.trained for row in found)),
                    str(sum(row.lost for row in found)),
                    str(sum(row.duplicated for row in found)),
                    str(sum(len(row.human_actions) for row in found)),
                    str(sum(row.restarts for row in found)),
                    _seconds([row.goes_on_s for row in found]),
                    _seconds([row.client_back_s for row in found]),
                ))  # fmt: skip
    return lines


def written(rows: Sequence[Row], options: PeersOptions) -> str:
    """The page in Markdown."""
    [line] = lines_of(LINE)
    table = [HEAD, tuple("---" for _ in HEAD), *cells(rows)]
    actions = sorted({f"- {row.system}, {row.fault}: {action}" for row in rows for action in row.human_actions})
    systems = ", ".join(dict.fromkeys(row.system for row in rows))
    command = f"thinwire chaos peers --repeat {options.repeat} --seed {options.seed} --flower ENVIRONMENT --out FILE"
    loads = sorted(row.load for row in rows if row.load is not None) or [0.0]
    return f"""# Faults, and what became of the results

    {command}

Written on {time.strftime("%Y-%m-%d", time.gmtime())}: {systems}; Python {platform.python_version()},
{platform.system()}, {os.cpu_count()} cores. Other work shared them: the load was {loads[0]:.1f} to {loads[-1]:.1f} when
the blows fell, so times are upper bounds.

{chr(10).join("| " + " | ".join(cell) + " |" for cell in table)}

What people had to do:

{chr(10).join(actions) or "- nothing"}

## How it was measured

The same script strikes both systems. {CLIENTS} clients, each in a network namespace of its own behind a line of the
project's own emulator:

    up    {line.up}
    down  {line.down}

A result is one client's training of {TRAIN_S:g} s and travels whole, as {PAYLOAD_BYTES / 1e6:g} MB of float32, in
both systems: thinwire is set to density 1 and full precision for it.

- The blow comes when two versions of the model are made and the struck client's line has carried a quarter of a result
  without a pause.
- `kill -9` takes the process and all that it has started. It begins again {RESTART_S:g} s later by the same command, as
  a service manager does it, and so does every process that ends by itself. Whatever else it takes is a human action.
- The cut lets nothing through the struck client's line for {CUT_S:g} s. Connections are not told of it.
- A result is lost when no version of the model ever has it, and a duplicate when two have. Training that was not
  finished when its process was killed is counted for neither system.
- Times count from the blow, so they hold the {RESTART_S:g} s and the {CUT_S:g} s; the median of the runs.

Flower runs as SuperLink and SuperNodes with its state in a file (`--database`), FedAvg that goes on with one client,
and a server app that writes a checkpoint after each round and goes on from it, so a run that is submitted again does
not begin anew. It is synchronous and redoes rounds; thinwire is asynchronous.
"""


def _seconds(measured: Sequence[float | None]) -> str:
    known = [seconds for seconds in measured if seconds is not None]
    if not known:
        return "never"
    never = f", {len(measured) - len(known)} never" if len(known) < len(measured) else ""
    return f"{median(known):.1f}{never}"
