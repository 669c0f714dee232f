"""A delta that is far longer than all others is refused; it takes others to know, and nobody can move what is usual."""

import hashlib
import random
from typing import Any

import numpy as np
import pytest
from journal_story import BUFFERS, LAYOUT, SIZE, Run, bits, blob

from thinwire.common.codec import Packet, ValueCode, pack, quantise
from thinwire.common.statistics import pack_statistics
from thinwire.common.values import RejectReason, Verdict
from thinwire.server import entries
from thinwire.server.effects import Finished, Settled
from thinwire.server.events import DeltaSealed
from thinwire.server.journal import Journal
from thinwire.server.norms import KEPT_DEVICES, Norms
from thinwire.sim.disk import SimFolder


def test_of_fewer_than_two_others_nothing_is_concluded() -> None:
    norms = Norms()
    assert norms.usual("oak") is None
    norms.see("oak", 1.0)
    norms.see("elm", 3.0)
    assert (norms.usual("oak"), norms.usual("elm"), norms.usual("ash")) == (None, None, 2.0)


def test_a_device_counts_once_however_often_it_sends() -> None:
    norms = Norms()
    for device in ("oak", "elm", "ash"):
        norms.see(device, 1.0)
    for _ in range(1000):
        norms.see("liar", 99.0)
    assert norms.usual("yew") == 1.0
    assert norms.usual("liar") == 1.0


def test_when_steps_become_small_those_that_were_long_are_remembered() -> None:
    norms = Norms()
    for norm in (1.0, 0.1, 1e-9):
        for device in ("oak", "elm"):
            norms.see(device, norm)
    assert norms.usual("back after a month") == 1.0


def test_deltas_of_nothing_make_nothing_of_others_refused() -> None:
    norms = Norms()
    norms.see("oak", 0.0)
    norms.see("elm", 0.0)
    assert norms.usual("ash") is None


def test_only_the_devices_heard_last_are_kept() -> None:
    norms = Norms()
    for number in range(1000):
        norms.see("steady", 5.0)
        norms.see(f"device-{number}", 1.0)
    assert len(norms.dump()) == KEPT_DEVICES
    assert ("steady", 5.0) in norms.dump()


def huge(run: Run, device: str, value: float = 1e30) -> list[Any]:
    row = run.core.ledger.row(device)
    assert row is not None
    values_K = np.full(SIZE, value, np.float32)
    body = pack(Packet(LAYOUT.hash, run.core.model.version, SIZE, np.arange(SIZE), quantise(values_K, ValueCode.FP32)))
    return run.happens(DeltaSealed(device, row.epoch, row.contiguous + 1, hashlib.sha256(body).digest(), body))


@pytest.mark.parametrize("guard", [100.0, 0.0])
def test_one_device_does_not_end_the_training_unless_the_guard_is_off(guard: float) -> None:
    run = Run(SimFolder("coordinator", random.Random(0)), norm_guard=guard)
    run.join("oak", "elm", "liar")
    run.train(4, "oak", "elm")
    ended = []
    for seed in range(6):
        ended += huge(run, "liar", 3e38)
        ended += run.delta(("oak", "elm")[seed % 2], 40 + seed)
        if run.core.phase == "finished":
            break
    finished = [effect for effect in ended if isinstance(effect, Finished)]
    assert bool(finished) == (guard == 0.0)
    if guard:
        settled = [effect.outcome for effect in ended if isinstance(effect, Settled) and effect.device == "liar"]
        assert all(outcome.reason is RejectReason.OUTLIER and not outcome.refund for outcome in settled)
        assert "at most 100 times that is taken (aggregation.norm_guard)" in settled[0].message
        assert np.abs(run.core.model.weights_P).max() < 100
    else:
        assert "diverged" in finished[0].reason


def sends_statistics(run: Run, device: str, value: float) -> Any:
    row = run.core.ledger.row(device)
    assert row is not None
    body, tail = blob(7, run.core.model.version, statistics=False)[0], np.full(2, value, np.float32)
    statistics = pack_statistics(tail, BUFFERS, run.core.model.version)
    sha256 = hashlib.sha256(body + statistics).digest()
    sealed = DeltaSealed(device, row.epoch, row.contiguous + 1, sha256, body + statistics, len(statistics))
    [settled] = [effect for effect in run.happens(sealed) if isinstance(effect, Settled)]
    return settled.outcome


@pytest.mark.parametrize("guard", [100.0, 0.0])
def test_statistics_of_one_device_cannot_take_the_place_of_all_others(guard: float) -> None:
    folder = SimFolder("coordinator", random.Random(0))
    run = Run(folder, norm_guard=guard, checkpoint_bytes=300)
    run.join("oak", "elm", "liar")
    for device in ("oak", "elm", "oak", "elm"):
        assert sends_statistics(run, device, 1.0).verdict is Verdict.ACCEPTED
    outcome = sends_statistics(run, "liar", 3e38)
    assert sends_statistics(run, "oak", 50.0).verdict is Verdict.ACCEPTED
    sends_statistics(run, "elm", 50.0)
    if guard:
        assert outcome.reason is RejectReason.OUTLIER
        assert outcome.message.startswith("statistics of norm 4.24264e+38, where other devices' longest are about 1.4")
        assert run.core.model.buffers_B.tolist() == pytest.approx([50.0, 50.0])
    else:
        assert outcome.verdict is Verdict.ACCEPTED
    folder.crash(power=True)
    assert bits(Journal(folder).recover().state) == bits(run.state)


def test_what_was_decided_is_decided_again_after_a_crash_whatever_the_guard_is_then() -> None:
    folder = SimFolder("coordinator", random.Random(0))
    run = Run(folder, norm_guard=100.0, checkpoint_bytes=300)
    run.join("oak", "elm", "liar")
    run.train(5, "oak", "elm")
    huge(run, "liar")
    run.train(6, "oak", "liar", "elm", seed=20)
    huge(run, "liar")
    written = [entry for _, entry, _ in run.journal.read(run.journal.first) if isinstance(entry, entries.Rejected)]
    assert [entry.reason for entry in written] == 2 * [RejectReason.OUTLIER]
    folder.crash(power=True)
    assert bits(Journal(folder).recover().state) == bits(run.state)
    later = Run(folder, norm_guard=0.0)
    [settled, *_] = huge(later, "liar", 1.0)
    assert settled.outcome.verdict is Verdict.ACCEPTED
