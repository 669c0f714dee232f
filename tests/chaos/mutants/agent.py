"""Wrong agents: what they keep, when they send it, and what they take for an answer."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from thinwire.client import core, custody, outbox
from thinwire.client.effects import Effect, Send, Tell
from thinwire.client.events import Closed, Event
from thinwire.client.store import records
from thinwire.common import frames
from thinwire.common.codec import Limits, Packet, ValueCode, pack, quantise, unpack
from thinwire.common.values import Welcome


def fire_and_forget(patch: pytest.MonkeyPatch) -> None:
    """What was sent is not kept: a stream that breaks takes it along."""
    whole = core.AgentCore._go_offline

    def lose(self: core.AgentCore, reason: str, now: float, at_least_s: float = 0.0) -> list[Effect]:
        for delta in self.outbox.unsettled():
            self.outbox.drop(delta.seq)
        return whole(self, reason, now, at_least_s)

    patch.setattr(core.AgentCore, "_go_offline", lose)


def select_again_on_retry(patch: pytest.MonkeyPatch) -> None:
    """A retry sends what is largest now, under the old number."""
    whole = core.AgentCore._go_on

    def fresher(delta: outbox.SealedDelta) -> outbox.SealedDelta:
        size = int.from_bytes(delta.payload[24:28], "little")
        found = unpack(delta.payload, Limits(delta.payload[8:16], size, size))
        if len(found.index_K) < 2:
            return delta
        kept = quantise(found.value_K[1:], ValueCode.FP32)
        payload = pack(Packet(delta.payload[8:16], found.base, size, found.index_K[1:], kept))
        header = replace(delta.header, total_bytes=len(payload), sha256=hashlib.sha256(payload).digest())
        return replace(delta, payload=payload, header=header)

    def go_on(self: core.AgentCore, welcome: Welcome, now: float) -> list[Effect]:
        for delta in self.outbox.unsettled():
            self.outbox._held[delta.seq] = fresher(delta)
        return whole(self, welcome, now)

    patch.setattr(core.AgentCore, "_go_on", go_on)


def timeout_taken_for_a_rejection(patch: pytest.MonkeyPatch) -> None:
    """A broken stream gives the delta back, though the coordinator may have it already."""
    whole = core.AgentCore.handle

    def handle(self: core.AgentCore, event: Event, now: float) -> list[Effect]:
        effects = whole(self, event, now)
        if isinstance(event, Closed):
            for delta in self.outbox.unsettled():
                self.outbox.drop(delta.seq)
                effects.append(Tell(frames.Rejection(seq=delta.seq, refund=True)))
        return effects

    patch.setattr(core.AgentCore, "handle", handle)


def sent_before_it_is_safe(patch: pytest.MonkeyPatch) -> None:
    """A delta leaves while its seal is still being written."""
    whole = custody.Custody.seal

    def seal(self: custody.Custody, frame: frames.SealedFrame, payload: bytes) -> list[Effect]:
        effects = whole(self, frame, payload)
        return [*effects, *(Send(chunk) for delta in self.outbox.keep() for chunk in delta.chunks(0))]

    patch.setattr(custody.Custody, "seal", seal)
    patch.setattr(records.Sealed, "synced", property(lambda _: False))
