"""Every named point of the simulation: a place in the product's work at which a process may die.

A point of a disk is `owner.file.change.when`; the others are a word, a record, an event or an effect by its class.
"""

from __future__ import annotations

_APPENDED = "append.before append.during append.after sync.before sync.after cut.before cut.after jot.before jot.after"
_OPENED = "open.before open.during open.after remove.before remove.after"
_REPLACED = "replace.before replace.during replace.after"
_DISKS = {
    "agent.outbox": f"{_APPENDED} {_OPENED} rename.before rename.after",
    "agent.residual": f"{_REPLACED} remove.before remove.after rename.before rename.after",
    "coordinator.journal": f"{_APPENDED} {_OPENED}",
    "coordinator.checkpoint": f"{_REPLACED} remove.before remove.after",
    "coordinator.snapshot": _REPLACED,
}
_WORDS = {
    "agent.hear": (
        "Applied CommitChunk Echo Figures Outcome Ready Refusal ResidualSaved SealedFrame SnapshotChunk Welcome"
    ),
    "agent.keep": "Covered Included Joined Led Sealed Settled",
    "agent.say": "DeltaChunk Echo Hello Report Subscribe",
    "agent.tell": "Base CommitFrame Mask Pending Refund Rejection Restore SaveResidual",
    "coordinator.handle": "DeltaSealed Greeted Left Started Subscribed Tick",
    "coordinator.say": "CommitChunk Echo Outcome Refusal SnapshotChunk Welcome",
    "coordinator.tell": "Opened Published Recognised Refused Settled",
}
POINTS = tuple(f"{where}.{what}" for where, whats in (_DISKS | _WORDS).items() for what in whats.split())

# What it takes to come by the rarer ones: without it some are met once in ten thousand seeds.
_NEEDS = {
    "agent.outbox.rename": "a flipped bit",
    "agent.residual.rename": "a flipped bit",
    "agent.outbox.cut": "a torn end",
    "coordinator.journal.cut": "a torn end",
    "agent.tell.Mask": "a lost trainer",
    "agent.tell.Pending": "a lost trainer",
    "agent.tell.Refund": "a lost trainer and refunds",
    "agent.tell.Rejection": "refunds",
    "agent.tell.Restore": "a lost trainer",
    "agent.say.Report": "",
    "coordinator.checkpoint.remove": "little room",
    "coordinator.snapshot.replace": "",
    "agent.hear.Refusal": "a full disk",
    "coordinator.say.Refusal": "a full disk",
    "coordinator.tell.Refused": "an old backup",
    "coordinator.handle.Tick": "rounds",
}


# The rarer ones are aimed at more often.
AIMS = POINTS + 3 * tuple(point for point in POINTS if any(point.startswith(where) for where in _NEEDS))


def needed(point: str) -> str:
    """What a trial must go through to come by a point; empty for nothing but its usual course."""
    return next((need for where, need in _NEEDS.items() if point.startswith(where)), "")
