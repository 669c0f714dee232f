"""What tells one state of a run, or one version of its model, from another."""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from thinwire.server.state import RunState


def of_state(state: RunState) -> bytes:
    """Of everything that a journal must give back."""
    model, fold = state.model, state.fold
    hashed = hashlib.blake2b(digest_size=16)
    for vector in (model.weights_P, model.residual_P, model.buffers_B, fold._sum_P):
        hashed.update(vector.tobytes())
    rest = (
        model.version, model.checksum, fold.count, state.phase, sorted(state.contributors), state.ledger.dump(),
        state.roster.dump(), state.leader_epoch, state.norms.dump(),
    )  # fmt: skip
    hashed.update(msgspec.msgpack.encode(rest))
    return hashed.digest()


def of_version(version: int, weights_P: NDArray[np.float32]) -> bytes:
    """Of one version of the weights."""
    return version.to_bytes(8, "little") + weights_P.tobytes()
