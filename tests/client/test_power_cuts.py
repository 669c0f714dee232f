"""A device that is cut off at any point of any write forgets at most what was not sealed, and never counts twice.

The agent's core, its store and the trainer's replica run on a disk that loses what was not synced. Every step adds a
whole number, so sums are exact; and a positive one, so whatever is counted twice is more than was ever learned.
"""

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agent_story import Story, the, words
from numpy.typing import NDArray

from thinwire.client import custody
from thinwire.client.effects import Effect, Tell
from thinwire.client.store import account, store
from thinwire.common import frames
from thinwire.common.codec import Limits, Packet, Unpacked, ValueCode, pack, unpack
from thinwire.common.values import DeltaChunk, Outcome, RejectReason, Verdict
from thinwire.sim.disk import Crash, SimFolder
from thinwire.trainer import residual
from thinwire.trainer.replica import Replica

SIZE = 10
LAYOUT = b"L" * 8
Mass = NDArray[np.float64]


class Rig:
    """One device, a coordinator that decides by the dice, and a disk that fails at the n-th point from now."""

    def __init__(self, seed: int, residual_every: int = 4) -> None:
        self.dice = random.Random(seed)
        self.countdown = -1
        self.received: dict[int, bytes] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.included = 0
        self.born_P = np.zeros(SIZE)
        self.version = 3
        self.cuts = self.saves = 0
        self.story = Story(folder=SimFolder("device", self.dice, self._reach), residual_every=residual_every)
        self._start()

    def _reach(self, point: str) -> None:
        self.countdown -= 1
        if self.countdown == 0:
            raise Crash(point)

    # -- the device --------------------------------------------------------------------------------------------

    def _start(self) -> None:
        story = self.story
        self.hear(story.happens_dial())
        unsettled = {delta.seq for delta in story.core.outbox.unsettled()}
        known = tuple(outcome for seq, outcome in self.outcomes.items() if seq in unsettled)
        self.hear(story.welcome(outcomes=known, version=self.version))
        self.replica = Replica(np.zeros(SIZE, np.float32), 0.5, story.core.outbox.next_seq)
        self.hear(story.ready())
        self.hear(story.snapshot(self.version, through=self.included))
        self.replica.rebase_on(np.zeros(SIZE, np.float32), self.version, self.included)

    def hear(self, effects: list[Effect]) -> None:
        """What goes to the coordinator, and what to the trainer."""
        for chunk in words(effects, DeltaChunk):
            before = self.received.setdefault(chunk.seq, chunk.data)
            assert before == chunk.data, "the bytes of a delta never change"
        for tell in the(effects, Tell):
            self._obey(tell.frame, tell.body)

    def _obey(self, frame: frames.ToTrainer, body: bytes) -> None:
        replica, folder = self.replica, self.story.folder
        match frame:
            case frames.Restore():
                residual.load(folder, frame, replica)
            case frames.Mask():
                replica.mask(opened(body).index_K)
            case frames.Refund():
                replica.repay(opened(body).index_K, opened(body).value_K)
            case frames.Pending():
                replica.adopt(frame.seq, opened(body).index_K, opened(body).value_K, 0)
            case frames.Rejection():
                replica.reject(frame.seq, refund=frame.refund)
            case frames.SaveResidual():
                self.saves += 1
                self.hear(self.story.says(residual.save(folder, frame, replica)))
            case _:
                raise AssertionError(frame)

    # -- what happens ------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Learn something, and cut a delta now and then."""
        self.story.now += 1.0
        gain_P = np.array([self.dice.randrange(4) for _ in range(SIZE)], np.float32)
        self.born_P += gain_P
        self.replica.working_P += gain_P
        if self.dice.random() < 0.5 and len(self.replica.pending) < 5:
            cut = self.replica.cut(0.3, ValueCode.FP32, 0)
            self.cuts += 1
            blob = pack(Packet(LAYOUT, cut.base, SIZE, cut.index_K, cut.quantised))
            frame = frames.SealedFrame(seq=cut.seq, buffer_bytes=0, steps=1, loss=0.0)
            self.hear(self.story.says(frame, blob))

    def decide(self) -> None:
        """The coordinator settles what it has, and includes some of what it accepted."""
        for seq in sorted(set(self.received) - set(self.outcomes)):
            refund = self.dice.random() < 0.4
            verdict = Verdict.REJECTED if refund else Verdict.ACCEPTED
            reason = RejectReason.TOO_STALE if refund else RejectReason.NONE
            self.outcomes[seq] = Outcome(seq, verdict, reason, refund)
            if self.dice.random() < 0.7:
                self.hear(self.story.hear(self.outcomes[seq]))
            else:
                # The word is lost with its stream; the next greeting asks.
                self._lose_link()
                return
        if self.outcomes and self.dice.random() < 0.5:
            self.included = max(self.outcomes)
            self.version += 1
            through = [tell.frame for tell in the(self.story.commit(self.version, through=self.included), Tell)]
            assert all(isinstance(frame, frames.CommitFrame) for frame in through)
            self.replica.rebase_on(np.zeros(SIZE, np.float32), self.version, self.included)

    def _lose_link(self) -> None:
        self.hear(self.story.lose_link())
        self.hear(self.story.happens_dial())
        unsettled = {delta.seq for delta in self.story.core.outbox.unsettled()}
        known = tuple(outcome for seq, outcome in self.outcomes.items() if seq in unsettled)
        self.hear(self.story.welcome(outcomes=known, version=self.version))

    def kill(self, *, power: bool) -> None:
        """The device is gone, and starts again; a trainer that dies alone takes its memory with it, too."""
        self.countdown = -1
        self.story.folder.crash(power=power)
        self.story.boot()
        self._start()

    # -- what must hold ----------------------------------------------------------------------------------------

    def unsent(self) -> Mass:
        return self.replica.unsent(slice(None)).astype(np.float64)

    def counted(self) -> Mass:
        """Everything that has changed the model, may yet, or is still to be sent."""
        total_P = self.unsent()
        held = {delta.seq: delta.payload for delta in self.story.core.outbox.pending()}
        for seq, body in {**held, **self.received}.items():
            outcome = self.outcomes.get(seq)
            if outcome is None or outcome.verdict is Verdict.ACCEPTED or seq in held:
                total_P[opened(body).index_K] += opened(body).value_K
        return total_P

    def check(self) -> None:
        assert (self.counted() <= self.born_P).all(), "something counts twice"
        assert self.replica.next_seq == self.story.core.outbox.next_seq
        assert set(self.replica.pending) == {delta.seq for delta in self.story.core.outbox.pending()}
        assert self.story.core.custody.epoch == 1


@functools.cache
def opened(body: bytes) -> Unpacked:
    return unpack(body, Limits(LAYOUT, SIZE, SIZE))


def live(rig: Rig, kills: int, *, power: bool = True) -> None:
    """Work until the disk cuts it off, again and again."""
    for _ in range(kills):
        rig.countdown = rig.dice.randrange(1, 120)
        try:
            while True:
                rig.dice.choice((rig.step, rig.step, rig.decide))()
                rig.check()
        except Crash:
            rig.kill(power=power)
        rig.check()


def test_nothing_counts_twice_whatever_is_cut_off() -> None:
    saves = 0
    for seed in range(24):
        rig = Rig(seed)
        live(rig, kills=6, power=seed % 3 > 0)
        assert rig.cuts > 5
        saves += rig.saves
    assert saves > 50


def test_without_a_cut_nothing_is_forgotten_either() -> None:
    rig = Rig(1)
    for _ in range(300):
        rig.dice.choice((rig.step, rig.step, rig.decide))()
        assert (rig.counted() == rig.born_P).all()
    assert rig.outcomes


def test_only_what_was_sealed_or_learned_since_the_last_save_is_forgotten() -> None:
    """On every coordinate that was not sealed since, the saved residual is back to the last unit."""
    for seed in range(40):
        rig = Rig(seed, residual_every=1000)
        for _ in range(60):
            rig.dice.choice((rig.step, rig.step, rig.decide))()
        rig.hear(rig.story.core.custody.save_now(0.0))
        saved_P, sealed = rig.unsent(), set(rig.received)
        for _ in range(6):
            rig.step()
        touched = {int(i) for seq in set(rig.received) - sealed for i in opened(rig.received[seq]).index_K}
        rig.kill(power=True)
        for i in range(SIZE):
            assert rig.unsent()[i] == (0.0 if i in touched else saved_P[i])


def test_the_trainer_alone_may_die_too() -> None:
    for seed in range(20):
        rig = Rig(seed)
        for _ in range(80):
            rig.dice.choice((rig.step, rig.step, rig.decide))()
        rig.hear(rig.story.core.custody.save_now(0.0))
        before_P = rig.unsent()
        rig.hear(rig.story.lose_trainer())
        rig.replica = Replica(np.zeros(SIZE, np.float32), 0.5, rig.story.core.outbox.next_seq)
        rig.hear(rig.story.wait())
        rig.hear(rig.story.ready())
        rig.hear(rig.story.snapshot(rig.version, through=rig.included))
        rig.replica.rebase_on(np.zeros(SIZE, np.float32), rig.version, rig.included)
        assert (rig.unsent() == before_P).all()
        rig.check()


# -- mutants: each of these mistakes must be found -------------------------------------------------------------------


def unmasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old residual is restored as it is."""
    monkeypatch.setattr(account.Account, "changes_after", lambda *_: [])


def sent_before_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delta leaves before its seal is safe."""
    monkeypatch.setattr(store.Log, "sync", lambda log: None)


def refunded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refund is given and not written down with the outcome."""
    original: Callable[..., Any] = custody.Settled

    def forgetful(**fields: Any) -> Any:
        return original(**{**fields, "accepted": True, "refund": 0})

    monkeypatch.setattr(custody, "Settled", forgetful)


@pytest.mark.parametrize("mutate", [unmasked, sent_before_sealed, refunded_again])
def test_a_mistake_is_found(mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        test_nothing_counts_twice_whatever_is_cut_off()
