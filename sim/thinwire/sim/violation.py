"""What a trial ends with when the product has not kept a promise."""

from __future__ import annotations


class ViolationError(AssertionError):
    """A promise was broken."""


def demand(kept: bool, promise: str) -> None:
    """Raise ViolationError with what was found, unless the promise was kept."""
    if not kept:
        raise ViolationError(promise)
