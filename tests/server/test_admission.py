"""Is a delta fit to be used: one table of what can be wrong with it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinwire.common.codec import Packet, ValueCode, pack, quantise
from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.statistics import pack_statistics
from thinwire.common.values import RejectReason
from thinwire.server.admit import Admission, Admitted, Rejected

SIZE = 100
LAYOUT = Layout((TensorSpec("w", (SIZE,)),))
OTHER = Layout((TensorSpec("v", (SIZE,)),))
BUFFERS = Layout((TensorSpec("mean", (4,)),))
VERSION = 10


def admission(**changes: Any) -> Admission:
    usual = {
        "layout": LAYOUT, "buffer_layout": BUFFERS, "max_kept": 20, "max_bytes": 4000, "max_staleness": 4,
    }  # fmt: skip
    return Admission(**{**usual, **changes})


def delta(kept: int = 10, base: int = VERSION, layout: Layout = LAYOUT, value: float = 1.0) -> bytes:
    index = np.arange(0, kept, dtype=np.int64)
    return pack(Packet(layout.hash, base, SIZE, index, quantise(np.full(kept, value, np.float32), ValueCode.FP32)))


def statistics(layout: Layout = BUFFERS) -> bytes:
    return pack_statistics(np.arange(layout.size, dtype=np.float32), layout, VERSION)


def test_a_good_delta_is_admitted_with_its_statistics() -> None:
    tail = statistics()
    verdict = admission().judge(delta(base=7) + tail, len(tail), VERSION)
    assert isinstance(verdict, Admitted)
    assert (verdict.base, verdict.index_K.tolist(), verdict.value_K.tolist()) == (7, list(range(10)), 10 * [1.0])
    assert verdict.buffers_B is not None
    assert verdict.buffers_B.tolist() == [0, 1, 2, 3]


def test_statistics_may_be_missing() -> None:
    verdict = admission().judge(delta(), 0, VERSION)
    assert isinstance(verdict, Admitted)
    assert verdict.buffers_B is None


@pytest.mark.parametrize(
    ("payload", "tail", "reason", "refund"),
    [
        pytest.param(b"", 0, RejectReason.BAD_FORMAT, False, id="nothing"),
        pytest.param(b"x" * 300, 0, RejectReason.BAD_FORMAT, False, id="noise"),
        pytest.param(delta()[:-1], 0, RejectReason.BAD_FORMAT, False, id="cut off"),
        pytest.param(delta(kept=21), 0, RejectReason.BAD_FORMAT, True, id="denser than allowed, now"),
        pytest.param(delta() + bytes(5000), 0, RejectReason.BAD_FORMAT, False, id="longer than allowed"),
        pytest.param(delta(layout=OTHER), 0, RejectReason.WRONG_LAYOUT, False, id="another model"),
        pytest.param(delta(base=11), 0, RejectReason.UNKNOWN_VERSION, False, id="from the future"),
        pytest.param(delta(base=6), 0, None, False, id="just young enough"),
        pytest.param(delta(base=5), 0, RejectReason.TOO_STALE, True, id="too stale: the mass is good, its base is not"),
        pytest.param(delta(), 500, RejectReason.BAD_FORMAT, False, id="statistics longer than everything"),
        pytest.param(delta() + b"12345", 5, RejectReason.BAD_FORMAT, False, id="statistics that are none"),
        pytest.param(
            delta() + statistics(OTHER), len(statistics(OTHER)), RejectReason.WRONG_LAYOUT, False, id="others'"
        ),
    ],
)
def test_what_is_wrong_is_said_with_whether_the_mass_returns(
    payload: bytes, tail: int, reason: RejectReason | None, refund: bool
) -> None:
    verdict = admission().judge(payload, tail, VERSION)
    if reason is None:
        assert isinstance(verdict, Admitted)
    else:
        assert isinstance(verdict, Rejected)
        assert (verdict.reason, verdict.refund) == (reason, refund)
        assert verdict.message


def test_a_model_without_statistics_takes_none() -> None:
    tail = statistics()
    verdict = admission(buffer_layout=Layout(())).judge(delta() + tail, len(tail), VERSION)
    assert isinstance(verdict, Rejected)


@pytest.mark.parametrize(("value", "norm"), [(0.3, 0.9), (1.0, 1.0), (3.0, 1.0), (4.0, None)])
def test_long_deltas_are_clipped_and_ten_times_too_long_ones_refused(value: float, norm: float | None) -> None:
    verdict = admission(clip_norm=1.0).judge(delta(kept=9, value=value), 0, VERSION)
    if norm is None:
        assert isinstance(verdict, Rejected)
        assert verdict.reason is RejectReason.BAD_VALUES
    else:
        assert isinstance(verdict, Admitted)
        assert float(np.linalg.norm(verdict.value_K * verdict.clip)) == pytest.approx(norm, rel=1e-6)


def test_without_a_clip_norm_nothing_is_clipped() -> None:
    verdict = admission().judge(delta(value=1e30), 0, VERSION)
    assert isinstance(verdict, Admitted)
    assert verdict.value_K[0] == np.float32(1e30)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_get_a_verdict_and_never_an_exception(payload: bytes, tail: int) -> None:
    assert isinstance(admission().judge(payload, tail, VERSION), Rejected)
