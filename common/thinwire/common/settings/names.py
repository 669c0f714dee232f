"""How problems speak of keys and values."""

import difflib
import json
from collections.abc import Sequence
from typing import Any

_LONGEST_VALUE = 60


def shown(value: Any) -> str:
    """A value as it would stand in a TOML file, cut when it is long."""
    if isinstance(value, dict):
        return "a table"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that was most likely meant."""
    close = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return close[0] if close else None
