"""The rate's table: the fixed rate it is held against has the same bytes, and a bar that is missed is said to be."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from thinwire.bench.rate import QUICK, Entry, Size, grid, measure, verdicts, write
from thinwire.bench.rate.cells import equal_density
from thinwire.bench.rate.grid import Part
from thinwire.common.history import Header, History, Row
from thinwire.sim.cell import Cell

BOWLS = Part(
    "bowls", "Bowls", 'id = "quadratic"\nparams = { size = 5000 }',
    devices=3, local_steps=2, learning_rate=0.05, marks=(0.005, 0.03),
)  # fmt: skip
SHORT = Size(dense_rounds=12, rounds=15, seeds=(1, 2))
JOINING, A_ROUND = 5_000, 1_000_000


def _history(density: float, rounds: int = 10) -> History:
    """Bytes as a delta has them: positions cost more, each, where fewer are kept."""
    sent = [JOINING + round(n * A_ROUND * density**0.9) for n in range(1, rounds + 1)]
    rows = [
        Row(time_s=n, version=n, bytes_up=total // 3, bytes_down=total - total // 3, density={"devices": density})
        for n, total in enumerate(sent, 1)
    ]
    return History(Header(), tuple(rows), None)


def _entry(method: str, accuracy: float, seed: int, share: float = 0.04, like: str = "") -> Entry:
    accuracies = [accuracy] * 4
    return Entry("omniglot", method, like, seed, 0.07, 9, 900, 1, 2, share, 1.0, 0.9, True, *accuracies)


def _table(ours: Sequence[float], fixed: Sequence[float], share: float = 0.04) -> list[Entry]:
    seeds = list(enumerate(ours, 1))
    return [
        *(_entry(grid.DENSE, 0.5, seed, 1.0) for seed, _ in seeds),
        *(_entry(policy, figure, seed, share) for policy in grid.POLICIES for seed, figure in seeds),
        *(
            _entry("fixed-0.07", figure, seed, share, policy)
            for policy in grid.POLICIES for seed, figure in enumerate(fixed, 1)
        ),
    ]  # fmt: skip


def test_a_fixed_rate_of_the_same_bytes_is_found_with_one_probe() -> None:
    probes: list[str] = []

    def run(cells: Sequence[Cell]) -> list[History]:
        probes.extend(cell.method for cell in cells)
        return [_history(cell.settings.density.up) for cell in cells]

    # High and low in turn: as many bytes as a fixed rate that is a little lower than their mean.
    high, low = _history(0.1), _history(0.04)
    mixed = [
        dataclasses.replace(high, rows=(*high.rows[:5], *(
            Row(time_s=row.time_s, version=row.version, bytes_up=high.rows[4].bytes_up + row.bytes_up // 2,
                bytes_down=high.rows[4].bytes_down + row.bytes_down // 2, density=row.density)
            for row in low.rows[5:]
        )))
    ]  # fmt: skip
    wanted = mixed[0].rows[-1].bytes_up + mixed[0].rows[-1].bytes_down
    found = _history(equal_density(BOWLS, QUICK, mixed, run))
    assert len(probes) == 1
    assert found.rows[-1].bytes_up + found.rows[-1].bytes_down == pytest.approx(wanted, rel=0.01)


def test_the_whole_table_is_measured_once_and_each_baseline_has_its_policy_s_bytes(tmp_path: Path) -> None:
    ran: list[str] = []
    entries, histories = measure([BOWLS], SHORT, tmp_path, finished=lambda cell, history: ran.append(cell.file))
    assert len(entries) == len(histories) == len(SHORT.seeds) * (1 + 2 * len(grid.POLICIES))
    assert all(entry.ratio == pytest.approx(1.0, abs=0.03) for entry in entries if entry.like)
    assert all(entry.steps == 3 * 2 * entry.rounds for entry in entries)
    assert {entry.share for entry in entries if entry.method == grid.DENSE} == {1.0}
    assert f"bowls/{grid.DENSE}/seed-1.jsonl" in ran
    ran.clear()
    assert measure([BOWLS], SHORT, tmp_path, finished=lambda cell, history: ran.append(cell.file))[0] == entries
    assert not ran


@pytest.mark.parametrize(
    ("ours", "fixed", "share", "reached"),
    [
        pytest.param([0.50, 0.52], [0.50, 0.51], 0.04, {True}, id="both bars"),
        pytest.param([0.50, 0.52], [0.53, 0.51], 0.04, {True}, id="worse than the baseline by less than the noise"),
        pytest.param([0.50, 0.51], [0.53, 0.54], 0.04, {True, False}, id="worse by more"),
        pytest.param([0.48, 0.49], [0.48, 0.49], 0.04, {True, False}, id="less accurate than dense averaging"),
        pytest.param([0.50, 0.52], [0.50, 0.51], 0.06, {True, False}, id="too many bytes"),
        pytest.param([0.50], [0.60], 0.04, {True, None}, id="one seed has no noise"),
    ],
)
def test_a_bar_is_reached_or_not(ours: list[float], fixed: list[float], share: float, reached: set[bool]) -> None:
    assert {verdict.reached for verdict in verdicts(_table(ours, fixed, share))} == reached


def test_a_rate_that_never_moved_is_not_held_against_a_fixed_one() -> None:
    still = [dataclasses.replace(entry, moved=False) for entry in _table([0.50, 0.52], [0.50, 0.51])]
    (verdict,) = {v.reached: v for v in verdicts(still) if "never moved" in v.figures}.values()
    assert verdict.reached is None


def test_the_page_admits_what_was_missed(tmp_path: Path) -> None:
    entries = _table([0.40, 0.41], [0.45, 0.46])
    write(entries, [_history(0.07)] * len(entries), QUICK, tmp_path, "thinwire bench rate")
    page = (tmp_path / "rate.md").read_text()
    assert page.count("| MISSED |") == 2 * len(grid.POLICIES)
    assert "| fixed-0.07 | temporal |" in page
    assert "0.405 (0.400 to 0.410)" in page
    assert "Written by `thinwire bench rate`" in page
    assert (tmp_path / "rate-omniglot.svg").stat().st_size > 0


def test_every_run_of_the_grid_is_a_scenario_that_reads() -> None:
    for part in grid.PARTS.values():
        for policy in grid.POLICIES:
            assert grid.dynamic(part, QUICK, policy, 1).settings.density.policy == policy
        assert grid.dense(part, QUICK, 1).settings.density.up == 1.0
        assert grid.fixed(part, QUICK, 0.0873, 1).file == f"{part.name}/fixed-0.0873/seed-1.jsonl"
