"""What a run of the demo may be asked for."""

from dataclasses import dataclass
from pathlib import Path

from thinwire.common.link import LinkProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """One run: the fleet, its links, what to reach and by when."""

    devices: int = 10
    # None is loopback as it is.
    link: LinkProfile | None = None
    # Where settings, logs and the model stay afterwards; None is a temporary folder that goes.
    keep: Path | None = None
    # One JSON object instead of a table.
    json: bool = False
    # Accuracy to stop at, density of deltas, weight of pending work; None is the demo's own choice.
    target: float | None = None
    density: float | None = None
    omega: float | None = None
    seed: int = 1
    timeout_s: float = 600.0
    # "section.key=value" for the coordinator's settings.
    set: tuple[str, ...] = ()
