"""What is said to trainers, and what is made of what they say."""

from __future__ import annotations

import msgspec

from thinwire.client.effects import Tell
from thinwire.client.outbox import SealedDelta
from thinwire.common import frames
from thinwire.common.values import Plan, Welcome


def added(figures: frames.Figures, earlier: frames.Figures) -> frames.Figures:
    """A trainer's figures, with its counters going on from where those before it ended."""
    return msgspec.structs.replace(
        figures,
        steps=earlier.steps + figures.steps,
        cuts=earlier.cuts + figures.cuts,
        compute_s=earlier.compute_s + figures.compute_s,
        wait_s=earlier.wait_s + figures.wait_s,
    )


def plan_fields(plan: Plan) -> dict[str, object]:
    """A plan as the frame to the trainer carries it."""
    return {name: getattr(plan, name) for name in Plan.__dataclass_fields__}


def tell_pending(delta: SealedDelta) -> Tell:
    """Have a trainer carry a delta that it has not sealed itself."""
    frame = frames.Pending(seq=delta.seq, buffer_bytes=delta.header.buffer_bytes, accepted=delta.accepted)
    return Tell(frame, delta.payload)


def other_model(welcome: Welcome, ready: frames.Ready) -> str:
    """Why this device cannot take part, and what to do about it."""
    return (
        f"task {welcome.task!r} builds another model here (layout {ready.layout_hash}, {ready.parameters} parameters) "
        f"than at the coordinator (layout {welcome.layout_hash.hex()}); install the same version of the task on both"
    )
