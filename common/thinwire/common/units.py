"""Durations, sizes and rates as people write them: "200ms", "64KiB", "2mbit".

Inside the program a duration is a float of seconds, a size an int of bytes, a rate a float of bits a second.

    duration   us ms s min h d          size   B kB MB GB KiB MiB GiB          rate   bit kbit mbit gbit

kB is 1000 bytes and KiB is 1024. Rates count in thousands and are bits, as `tc` and line contracts have them.
"""

import math
import re
from collections.abc import Mapping

_DURATION: Mapping[str, float] = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE: Mapping[str, float] = {
    "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip
_RATE: Mapping[str, float] = {"bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
_QUANTITY = re.compile(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*([A-Za-z]{1,4})\s*", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds of "200ms", "1.5s", "5min"; raise ValueError when it is no duration."""
    return _parse(text, _DURATION, "a duration", "30s")


def parse_size(text: str) -> int:
    """Bytes of "64KiB", "250kB"; raise ValueError when it is no size or no whole number of bytes."""
    size = _parse(text, _SIZE, "a size", "64KiB")
    if not size.is_integer():
        raise ValueError(f'"{text}" is not a whole number of bytes')
    return int(size)


def parse_rate(text: str) -> float:
    """Bits a second of "2mbit", "64kbit"; raise ValueError when it is no rate."""
    return _parse(text, _RATE, "a rate", "2mbit")


def format_duration(seconds: float) -> str:
    """The shortest form that `parse_duration` reads back: "200ms", "1.5s"."""
    if 0 < seconds < 1:
        return f"{seconds * 1e3:.12g}ms"
    return f"{seconds:.12g}s"


def format_size(size_bytes: int) -> str:
    """The largest binary unit that divides it, so nothing is rounded: "64KiB", "1000B"."""
    for unit in ("GiB", "MiB", "KiB"):
        whole, rest = divmod(size_bytes, int(_SIZE[unit]))
        if whole and not rest:
            return f"{whole}{unit}"
    return f"{size_bytes}B"


def format_rate(rate_bps: float) -> str:
    """The form that `parse_rate` reads back: "2mbit", "64kbit"."""
    for unit in ("gbit", "mbit", "kbit"):
        if rate_bps >= _RATE[unit]:
            return f"{rate_bps / _RATE[unit]:.12g}{unit}"
    return f"{rate_bps:.12g}bit"


def about(size_bytes: float) -> str:
    """A size for the eye, rounded: "31.4 MiB"."""
    size = float(size_bytes)
    if size < 1024:
        return f"{size:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"


def _parse(text: str, units: Mapping[str, float], what: str, example: str) -> float:
    match = _QUANTITY.fullmatch(text)
    scale = units.get(match[2]) if match else None
    if match is None or scale is None:
        known = ", ".join(units)
        raise ValueError(f'"{text[:40]}" is not {what}; write a number and one of {known}: "{example}"')
    amount = float(match[1]) * scale
    assert math.isfinite(amount)
    return amount
