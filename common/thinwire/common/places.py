"""Where state is kept when nobody says otherwise."""

import os
from pathlib import Path

NOWHERE = "none"


def state_folder(setting: str, *parts: str) -> Path | None:
    """The folder that a `state.dir` setting means; None when nothing is to be kept.

    "" is the service manager's folder ($STATE_DIRECTORY) or the user's ($XDG_STATE_HOME/thinwire), with `parts` below.
    """
    if setting == NOWHERE:
        return None
    if setting:
        return Path(setting).expanduser()
    if managed := os.environ.get("STATE_DIRECTORY", ""):
        return Path(managed.split(":")[0], *parts)
    base = os.environ.get("XDG_STATE_HOME", "") or "~/.local/state"
    return Path(base).expanduser() / "thinwire" / Path(*parts)
