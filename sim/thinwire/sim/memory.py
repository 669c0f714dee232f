"""Whether a fleet fits into this machine, before it is built."""

from __future__ import annotations

import os

from thinwire.common.errors import TaskError
from thinwire.common.units import about

# The least that a simulated device has: vectors of float32, each of the model's size.
VECTORS, FLOAT_BYTES = 5, 4


def refuse_too_large(devices: int, parameters: int) -> None:
    """Raise TaskError for a fleet that could not be held in memory."""
    needed, there = VECTORS * FLOAT_BYTES * devices * parameters, _memory()
    if needed > there:
        raise TaskError(
            f"{devices} devices with a model of {parameters} parameters take {about(needed)} of memory or more, and"
            f" this machine has {about(there)}; --devices makes the fleet smaller, task.params perhaps the model"
        )


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
