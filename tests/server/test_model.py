"""The model as a log of sparse commits, and the log as it is kept for devices that are behind."""

import numpy as np
import pytest

from thinwire.common import checksum
from thinwire.common.codec import Limits, ValueCode, unpack
from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.snapshot import unpack_snapshot
from thinwire.common.statistics import unpack_statistics
from thinwire.server.commits import CommitLog, PackedSnapshot
from thinwire.server.model import Commit, DivergedError, GlobalModel

SIZE = 50
LAYOUT = Layout((TensorSpec("w", (SIZE,)),))
BUFFERS = Layout((TensorSpec("mean", (2,)),))
DRAW = np.random.default_rng(4)


def model() -> GlobalModel:
    return GlobalModel(LAYOUT, BUFFERS, DRAW.normal(size=SIZE).astype(np.float32), np.zeros(2, np.float32))


def step() -> np.ndarray:
    return DRAW.normal(size=SIZE).astype(np.float32)


@pytest.mark.parametrize("code", list(ValueCode))
def test_replaying_the_log_gives_the_published_bits(code: ValueCode) -> None:
    published = model()
    replica_P = published.weights_P.copy()
    for version in range(1, 20):
        commit = published.publish(step(), None, 0.1, code)
        update = unpack(commit.payload, Limits(LAYOUT.hash, SIZE, SIZE))
        replica_P[update.index_K] += update.value_K
        assert (commit.version, update.base, commit.kept) == (version, version - 1, 5)
        assert np.array_equal(replica_P, published.weights_P)
        assert update.checksum == published.checksum == checksum.full(replica_P)


def test_what_a_commit_does_not_carry_waits_in_the_residual() -> None:
    published = model()
    before_P = published.weights_P.astype(np.float64)
    given_P = np.zeros(SIZE)
    for _ in range(10):
        one = step()
        given_P += one
        published.publish(one, None, 0.06, ValueCode.LOG3)
    assert published.weights_P + published.residual_P == pytest.approx(before_P + given_P, abs=1e-4)


def test_statistics_travel_behind_the_update() -> None:
    published = model()
    commit = published.publish(step(), np.array([3, 4], np.float32), 1.0, ValueCode.FP32)
    tail = commit.payload[len(commit.payload) - commit.buffer_bytes :]
    assert unpack_statistics(tail, BUFFERS).tolist() == published.buffers_B.tolist() == [3, 4]
    assert published.publish(step(), None, 1.0, ValueCode.FP32).buffer_bytes == 0


@pytest.mark.parametrize("bad", [np.inf, np.nan, -np.inf])
def test_a_step_that_is_not_finite_is_not_published(bad: float) -> None:
    published = model()
    before_P = published.weights_P.copy()
    broken_P = step()
    broken_P[7] = bad
    with pytest.raises(DivergedError, match="version 1"):
        published.publish(broken_P, None, 0.1, ValueCode.LOG3)
    assert np.array_equal(published.weights_P, before_P)
    assert published.version == 0


def test_a_sum_that_overflows_is_not_published() -> None:
    published = model()
    huge_P = np.full(SIZE, 3e38, np.float32)
    published.publish(huge_P.copy(), None, 1.0, ValueCode.FP32)
    with pytest.raises(DivergedError, match="not finite at parameter 0"):
        published.publish(huge_P, None, 1.0, ValueCode.FP32)
    assert np.isfinite(published.weights_P).all()


def test_a_frozen_model_does_not_move() -> None:
    published = model()
    frozen = published.freeze()
    before_P = frozen.weights_P.copy()
    published.publish(step(), None, 1.0, ValueCode.FP32)
    assert frozen.version == 0
    assert np.array_equal(frozen.weights_P, before_P)


# -- the log --------------------------------------------------------------------------------------------------------


def log_of(*sizes: int, limit_bytes: int = 100) -> CommitLog:
    log = CommitLog(limit_bytes)
    for version, size in enumerate(sizes, start=1):
        log.append(Commit(version, bytes(size)))
    return log


def test_the_log_holds_as_many_commits_as_are_smaller_than_a_snapshot() -> None:
    log = log_of(40, 40, 40, 10)
    assert [log.after(version) is not None for version in range(5)] == [False, True, True, True, False]


def test_the_newest_commit_is_always_held() -> None:
    log = log_of(10, 500)
    commit = log.after(1)
    assert commit is not None
    assert commit.version == 2


@pytest.mark.parametrize(
    ("version", "reached"), [(0, False), (1, True), (3, True), (4, True), (5, False)], ids=lambda value: str(value)
)
def test_a_device_goes_on_with_commits_if_the_next_one_is_held(version: int, reached: bool) -> None:
    assert log_of(40, 40, 40, 10).reaches(version) is reached


def test_an_empty_log_reaches_its_own_version_only() -> None:
    log = CommitLog(100)
    assert (log.reaches(0), log.reaches(1), log.after(0)) == (True, False, None)


def test_a_kept_snapshot_is_usable_while_the_log_goes_on_from_it() -> None:
    log = log_of(40)
    assert log.usable_snapshot is None
    kept = PackedSnapshot(1, bytes(60), b"", {})
    log.keep(kept)
    log.append(Commit(2, bytes(40)))
    assert log.usable_snapshot is kept
    log.append(Commit(3, bytes(40)))
    assert log.usable_snapshot is None, "40 and 40 bytes are more than a new snapshot's 60"


def test_a_packed_snapshot_is_the_model() -> None:
    published = model()
    packed = PackedSnapshot.of(published.freeze(), LAYOUT, BUFFERS, {"a": (1, 5)})
    found = unpack_snapshot(packed.packed, LAYOUT, BUFFERS)
    assert np.array_equal(found.weights_P, published.weights_P)
    assert (packed.version, packed.through) == (0, {"a": (1, 5)})
