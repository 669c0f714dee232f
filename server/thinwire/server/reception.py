"""What a device's words mean to the core: pure translations, shared by the gRPC service and the in-process world."""

from __future__ import annotations

import math
from dataclasses import replace

from thinwire.common.values import Hello, Outcome, Plan, Refusal, Subscribe, Welcome
from thinwire.server.effects import Recognised, Refused
from thinwire.server.events import DeltaSealed, Greeted, Subscribed
from thinwire.server.staging import Staging, WholeDelta

# A weight beyond this is no number of examples; it only has to keep the sum of all weights in range.
MAX_EXAMPLES = 1 << 40
# A loss or an energy beyond this comes from no training; it only has to keep sums in range.
MOST_TOLD = 1e30

# No Refusal carries a longer text.
MOST_REASON = 1024


def greeted(hello: Hello, lineage: bytes) -> Greeted:
    """A Hello; what the device holds of another lineage is nothing to this one."""
    if hello.lineage != lineage:
        return Greeted(hello.device, 0)
    return Greeted(
        hello.device,
        hello.epoch,
        hello.unsettled,
        hello.sealed_through,
        hello.settled_through,
        hello.version,
        hello.leader_epoch,
    )


def welcomed(
    template: Welcome, hello: Hello, recognised: Recognised, plan: Plan, version: int, staging: Staging
) -> Welcome:
    """The answer to a Hello; what was staged for another epoch of the device is dropped."""
    if hello.lineage != template.lineage or hello.epoch != recognised.epoch:
        staging.forget(hello.device)
    return replace(
        template,
        epoch=recognised.epoch,
        plan=plan,
        version=version,
        staged=staging.staged(hello.device),
        outcomes=tuple(settled(outcome, plan, version) for outcome in recognised.outcomes),
    )


def settled(outcome: Outcome, plan: Plan, version: int) -> Outcome:
    """An outcome as it is told; a device that waits for outcomes goes on from the version that came of its delta."""
    return replace(outcome, version=version) if plan.waits_for == "outcome" else outcome


def subscribed(device: str, wish: Subscribe) -> Subscribed:
    """A Subscribe."""
    return Subscribed(device, max(1, min(wish.examples, MAX_EXAMPLES)))


def refused(answer: Refused) -> Refusal:
    """How a device is told that it cannot be as it says, and when it may come again."""
    return Refusal(answer.reason, answer.message[:MOST_REASON], retry_after_s=answer.retry_after_s)


def sealed(device: str, epoch: int, whole: WholeDelta) -> DeltaSealed:
    """The last chunk of a delta."""
    header = whole.header
    return DeltaSealed(
        device, epoch, whole.seq, header.sha256, whole.payload, header.buffer_bytes,
        loss=told(header.loss), energy=told(max(0.0, header.energy)),
    )  # fmt: skip


def told(figure: float) -> float | None:
    """A device's own figure, or None for one that it did not tell (0) or that cannot be."""
    return figure if figure and math.isfinite(figure) and abs(figure) <= MOST_TOLD else None
