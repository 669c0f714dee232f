"""A real run leaves the history that a simulated one leaves."""

from pathlib import Path

from thinwire.common.history import read_history
from thinwire.demo.chronicle import FILE, Chronicle
from thinwire.v1 import operator_pb2


def status(version: int, **fields: object) -> operator_pb2.GetStatusResponse:
    return operator_pb2.GetStatusResponse(
        phase="training", task="watch", version=version, elapsed_s=version / 2, target_accuracy=0.8,
        groups=[operator_pb2.DensityGroup(density=0.25, devices=2)], **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def chronicle(folder: Path) -> Chronicle:
    return Chronicle(folder, method="demo", seed=1, devices=2, link="1s,1mbit", settings="[task]\n")


def test_a_row_for_each_look_that_brought_something_new(tmp_path: Path) -> None:
    kept = chronicle(tmp_path)
    kept.note(operator_pb2.GetStatusResponse(phase="starting"))
    kept.note(status(4, accepted=10, mean_staleness=1.0, evaluated_version=3, metrics={"accuracy": 0.5}))
    kept.note(status(4, accepted=10, mean_staleness=1.0, evaluated_version=3, metrics={"accuracy": 0.5}))
    kept.note(status(9, accepted=30, mean_staleness=2.0, evaluated_version=3, metrics={"accuracy": 0.5}))
    kept.note(status(9, accepted=30, mean_staleness=2.0, evaluated_version=9, metrics={"accuracy": 0.9}))
    kept.end("done", 2)
    history = read_history(tmp_path / FILE)
    assert [(row.version, row.accuracy, row.deltas, row.staleness) for row in history.rows] == [
        (4, 0.5, 10, 1.0), (9, None, 20, 2.5), (9, 0.9, 0, 0.0),
    ]  # fmt: skip
    assert history.rows[0].density == {"group 0": 0.25}
    assert history.header.source == "real"
    assert history.reached == history.rows[2]
    assert history.end is not None
    assert history.end.devices_equal == 2


def test_a_run_that_is_cut_short_leaves_what_was_seen(tmp_path: Path) -> None:
    kept = chronicle(tmp_path)
    kept.note(status(1))
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes() + b'{"kind": "row", "time')
    history = read_history(tmp_path / FILE)
    assert [row.version for row in history.rows] == [1]
    assert history.end is None
