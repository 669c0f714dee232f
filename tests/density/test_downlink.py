"""One log of commits, whatever their density: what one leaves out comes with a later one, and nothing is lost."""

import numpy as np

from thinwire.common.codec import Limits, ValueCode, unpack
from thinwire.common.layout import Layout, TensorSpec
from thinwire.server.model import GlobalModel

SIZE = 200
LAYOUT = Layout((TensorSpec("w", (SIZE,)),))


def test_at_rest_every_replica_comes_to_hold_the_true_model_exactly() -> None:
    """True is what was published plus the residual; whole numbers, so that every sum is exact."""
    draw = np.random.default_rng(4)
    model = GlobalModel(LAYOUT, Layout(()), np.zeros(SIZE, np.float32), np.zeros(0, np.float32))
    replica_P, true_P = np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32)

    def publish(step_P: np.ndarray, density: float) -> None:
        true_P[:] += step_P
        commit = model.publish(step_P.copy(), None, density, ValueCode.FP32)
        delta = unpack(commit.payload, Limits(LAYOUT.hash, SIZE, SIZE))
        replica_P[delta.index_K] += delta.value_K
        assert np.array_equal(replica_P, model.weights_P)
        assert np.array_equal(model.weights_P + model.residual_P, true_P)

    for density in (0.02, 0.3, 0.05, 0.1, 0.01):
        publish(draw.integers(-9, 10, SIZE).astype(np.float32), density)
    assert np.abs(model.residual_P).sum() > 0
    # 40 of 200 at a time: five commits without a step carry all that was left.
    for _ in range(5):
        publish(np.zeros(SIZE, np.float32), 0.2)
    assert np.array_equal(replica_P, true_P)


def test_at_rest_what_rounding_leaves_shrinks_with_every_turn() -> None:
    """With 4 bits a value nothing is exact at once: five commits of a fifth each leave a fiftieth, never quite 0."""
    model = GlobalModel(LAYOUT, Layout(()), np.zeros(SIZE, np.float32), np.zeros(0, np.float32))
    model.publish(np.random.default_rng(4).normal(size=SIZE).astype(np.float32), None, 0.1, ValueCode.LOG3)
    for _ in range(4):
        before = np.linalg.norm(model.residual_P)
        for _ in range(5):
            model.publish(np.zeros(SIZE, np.float32), None, 0.2, ValueCode.LOG3)
        assert 0 < np.linalg.norm(model.residual_P) < before / 50
