"""Where fetched data sets are kept: $XDG_CACHE_HOME/thinwire, or ~/.cache/thinwire."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return the folder of fetched data sets; it need not exist."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # The specification wants relative paths ignored.
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "thinwire"


def cached(name: str) -> Path:
    """Return where a data set is kept, if it was fetched."""
    return cache_dir() / f"{name}.npz"
