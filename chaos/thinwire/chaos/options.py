"""What a soak may be asked for."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakOptions:
    """One soak: how long, how many devices, how bad their lines, how often something is struck."""

    minutes: float = 1.0
    devices: int = 4
    # "namespaces", or "loopback" where those are not to be had.
    network: str = "namespaces"
    # Names of lines that the devices take in turn; "mixed" is all of them.
    lines: str = "mixed"
    mtbf_s: float = 2.0
    seed: int = 1
    # Folder for settings, logs, journal and stores; None is a temporary one that goes unless something is found.
    keep: Path | None = None
    json: bool = False
    # The report in Markdown; None writes none.
    out: Path | None = None
