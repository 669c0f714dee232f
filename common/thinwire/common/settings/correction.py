"""The settings of the correction: what own unacknowledged work, and others' late work, do to the model in training."""

from typing import Literal

from thinwire.common.settings.kinds import Decay, NotNegative, Section, Share


class Correction(Section, frozen=True, kw_only=True):
    """What is added to the rebase by `training.omega`; nothing by default. docs/algorithms.md has each method."""

    # What a delta leaves unsent: kept for the next one, out of the working model; in it as well; or in it for good and
    # never sent.
    residual: Literal["release", "keep", "private"] = "release"
    # Strength (lambda) of the Taylor term on the device, of the order of the batch size; 0 is off.
    taylor: NotNegative = 0.0
    # The same at the coordinator, for deltas made on an older version; 0 is off.
    taylor_server: NotNegative = 0.0
    # Strength (gamma) of the drift correction; 0 is off. For at most two rounds of delay, or 2 / drift rounds where
    # drift_memory is at least 0.9.
    drift: Share = 0.0
    # Share of the drift known so far that stays at each acknowledgement.
    drift_memory: Decay = 0.8
    # Rebase on each commit, or mix the working model with it, which gives up part of the steps done meanwhile.
    merge: Literal["rebase", "mix"] = "rebase"
    # Share of the working model that stays; for "mix".
    mix: Share = 0.5
