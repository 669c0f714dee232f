"""The bookkeeping behind overlap: a machine of random steps, cuts, commits and rejections, and what always holds.

Whole-number steps and a weight of one half make every sum exact in float32.
"""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from thinwire.common import checksum
from thinwire.common.codec import ValueCode
from thinwire.trainer.delays import Delays
from thinwire.trainer.replica import DesyncError, Replica

SIZE = 12
EVERYTHING = np.arange(SIZE, dtype=np.int64)
steps = st.lists(st.integers(-3, 3), min_size=SIZE, max_size=SIZE).map(lambda step: np.array(step, np.float32))


def based(omega: float = 0.5) -> Replica:
    replica = Replica(np.zeros(SIZE, np.float32), omega)
    replica.rebase_on(np.arange(SIZE, dtype=np.float32), version=3, through=0)
    return replica


def moved(replica: Replica, value_P: NDArray[np.float32]) -> int:
    """The checksum once this dense commit is in."""
    return checksum.full(replica.base_P + value_P)


class Machine(RuleBasedStateMachine):
    """A device and all that can happen to it; `included_P` and `dropped_P` are what left it for good."""

    def __init__(self) -> None:
        super().__init__()
        self.replica = based()
        self.born_P = np.zeros(SIZE)
        self.left_P = np.zeros(SIZE)
        self.steps = 0

    @rule(step_P=steps)
    def train(self, step_P: NDArray[np.float32]) -> None:
        self.replica.working_P += step_P
        self.born_P += step_P
        self.steps += 1

    @rule(density=st.floats(0.01, 1.0))
    def cut(self, density: float) -> None:
        before = self.replica.next_seq
        cut = self.replica.cut(density, ValueCode.FP32, self.steps)
        assert (cut.seq, cut.base) == (before, self.replica.version)

    @rule(commit_P=steps, included=st.integers(0, 3))
    def commit(self, commit_P: NDArray[np.float32], included: int) -> None:
        through = min([self.replica.next_seq - 1, *(seq + included - 1 for seq in list(self.replica.pending)[:1])])
        for seq, delta in self.replica.pending.items():
            if seq <= through:
                self.left_P[delta.index_K] += delta.value_K
        version = self.replica.version
        expected = moved(self.replica, commit_P)
        self.replica.advance(version, EVERYTHING, commit_P, expected, through, self.steps)
        assert self.replica.version == version + 1

    @precondition(lambda self: self.replica.pending)
    @rule(refund=st.booleans(), which=st.integers(0, 20))
    def reject(self, refund: bool, which: int) -> None:
        seq = list(self.replica.pending)[which % len(self.replica.pending)]
        delta = self.replica.pending[seq]
        if not refund:
            self.left_P[delta.index_K] += delta.value_K
        self.replica.reject(seq, refund=refund)
        self.replica.reject(seq, refund=refund)

    @rule(snapshot_P=steps)
    def snapshot(self, snapshot_P: NDArray[np.float32]) -> None:
        self.replica.rebase_on(snapshot_P, self.replica.version + 5, through=0)

    @invariant()
    def nothing_is_lost(self) -> None:
        replica = self.replica
        there_P = self.left_P + replica.residual_P + replica.unsent_P + (replica.working_P - replica.origin_P)
        for delta in replica.pending.values():
            there_P[delta.index_K] += delta.value_K
        assert np.array_equal(there_P, self.born_P)

    @invariant()
    def the_working_model_is_the_base_and_half_of_what_is_pending(self) -> None:
        replica = self.replica
        expected_P = replica.base_P + 0.5 * replica.unsent_P
        for delta in replica.pending.values():
            expected_P[delta.index_K] += 0.5 * delta.value_K
        assert np.array_equal(replica.origin_P, expected_P)

    @invariant()
    def the_checksum_is_that_of_the_base(self) -> None:
        assert self.replica.checksum == checksum.full(self.replica.base_P)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


def test_a_fresh_replica_has_no_version() -> None:
    assert not Replica(np.zeros(3, np.float32), 0.5).based
    assert based().based


def test_a_commit_on_another_version_is_refused_and_changes_nothing() -> None:
    replica = based()
    with pytest.raises(DesyncError, match="version 4 came to a base of version 3"):
        replica.advance(4, EVERYTHING, np.ones(SIZE, np.float32), None, 0, 0)
    assert np.array_equal(replica.base_P, np.arange(SIZE))


def test_a_checksum_that_differs_is_noticed() -> None:
    with pytest.raises(DesyncError, match="checksum"):
        based().advance(3, EVERYTHING, np.ones(SIZE, np.float32), 12345, 0, 0)


def test_after_a_desync_a_snapshot_heals_and_own_work_is_still_there() -> None:
    replica = based(omega=1.0)
    replica.working_P += 1
    replica.cut(0.5, ValueCode.FP32, steps=1)
    with pytest.raises(DesyncError):
        replica.advance(3, EVERYTHING, np.ones(SIZE, np.float32), 12345, 0, 0)
    replica.rebase_on(np.zeros(SIZE, np.float32), 9, through=0)
    assert replica.working_P.sum() == SIZE / 2, "half is pending; the other half is residual, and not trained on"
    assert replica.residual_P.sum() == SIZE / 2


def test_a_snapshot_takes_what_it_includes() -> None:
    replica = based()
    for _ in range(3):
        replica.working_P += 1
        replica.cut(1.0, ValueCode.FP32, steps=1)
    replica.rebase_on(np.zeros(SIZE, np.float32), 9, through=2)
    assert list(replica.pending) == [3]


def test_another_trainers_delta_is_carried_as_own() -> None:
    replica = based(omega=0.5)
    replica.adopt(7, EVERYTHING, np.full(SIZE, 2, np.float32), steps=0)
    assert np.array_equal(replica.working_P, np.arange(SIZE) + 1)
    assert replica.next_seq == 8
    replica.adopt(7, EVERYTHING, np.full(SIZE, 2, np.float32), steps=0)
    assert np.array_equal(replica.working_P, np.arange(SIZE) + 1), "once"


def test_the_delay_is_counted_in_local_steps() -> None:
    replica = based()
    replica.cut(1.0, ValueCode.FP32, steps=10)
    replica.advance(3, EVERYTHING, np.zeros(SIZE, np.float32), None, through=1, steps=34)
    assert replica.delays.last == 24


def test_delays_are_ranked_over_the_last_acknowledgements() -> None:
    delays = Delays()
    assert delays.percentile(0.5) == 0
    for steps in (1000, *range(1, 257)):
        delays.note(steps)
    found = [delays.percentile(share) for share in (0.0, 0.5, 0.95, 1.0)]
    assert found == [1, 128, 244, 256], "the first, of another time, is forgotten"


def test_what_is_dropped_is_counted() -> None:
    replica = based()
    replica.working_P -= 2
    replica.cut(1.0, ValueCode.FP32, steps=1)
    replica.reject(1, refund=False)
    assert replica.dropped == 2 * SIZE


@pytest.mark.parametrize("code", list(ValueCode))
def test_what_quantising_loses_stays_in_the_residual(code: ValueCode) -> None:
    replica = based(omega=0.0)
    increment_P = np.random.default_rng(1).normal(size=SIZE).astype(np.float32)
    replica.rebase_on(np.zeros(SIZE, np.float32), 4, through=0)
    replica.working_P += increment_P
    cut = replica.cut(0.5, code, steps=1)
    rebuilt_P = replica.residual_P.copy()
    rebuilt_P[cut.index_K] += cut.quantised.value_K
    assert np.abs(rebuilt_P - increment_P).max() < 1e-6


@pytest.mark.parametrize("selected", [None, 7])
@pytest.mark.parametrize("residual", ["", "keep", "private"])
def test_energy_is_of_what_could_be_sent(residual: str, selected: int | None) -> None:
    """Residual and increments; but what was private once is never offered again."""
    replica, draw = based(), np.random.default_rng(4)
    replica.residual, replica.mask_secret = residual, selected
    for _ in range(5):
        before_P = np.zeros(SIZE, np.float32) if residual == "private" else replica.residual_P.copy()
        step_P = draw.normal(size=SIZE).astype(np.float32)
        replica.working_P += step_P
        cut = replica.cut(1 / SIZE, ValueCode.FP32, steps=1)
        assert cut.energy == pytest.approx(float(np.square(before_P + step_P).sum()), rel=1e-4)
