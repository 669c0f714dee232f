"""The page about overlap says what was measured, and a bar that was missed is called missed."""

from pathlib import Path

import pytest

from thinwire.bench import overlap
from thinwire.bench.linked import LOCAL_STEPS, RATE_BPS, Plan, Run, Traced
from thinwire.bench.overlap import ROUNDS_AWAY, Measured, Size, run, summed
from thinwire.bench.overlap_page import write
from thinwire.bench.races import DIGITS, FAR, NEAR, RACES, WATCHES
from thinwire.common.link import LinkProfile

SIZE = Size(seeds=3)
AWAY_S = ROUNDS_AWAY * LOCAL_STEPS * SIZE.step_s


def traced(
    what: str, rtt_s: float, seed: int, *, wall: float = 1.1, wall_s: float = 30.0, busy: float = 0.99
) -> Traced:
    done = Run(
        what=what, task="watch", link=str(LinkProfile(rtt_s, RATE_BPS)), seed=seed, devices=4, local_steps=LOCAL_STEPS,
        step_ms=50.0, commits=60, wall_s=wall_s, first_s=1.0, wall_over_compute=wall, between_over_compute=wall,
        busy_least=busy, busy_median=busy, step_mean_ms=50.5, between_steps_ms=9.0, delay_steps=50,
        staleness=4.0, accuracy=0.8, equal=4,
        load=1.0,
    )  # fmt: skip
    return Traced(
        done, ((1.0, 1.0), (2.0, 2.0)), ((1.0, 0.3), (2.0, 0.72), (3.0, 0.76), (3.5, 0.7), (4.0, 0.78), (5.0, 0.8))
    )


def runs(far_walls: tuple[float, ...], far_s: tuple[float, ...]) -> list[Traced]:
    found = []
    for seed, (wall, slow_s) in enumerate(zip(far_walls, far_s, strict=True), 1):
        found += [traced("overlap", 0.0, seed), traced("overlap", AWAY_S, seed, wall=wall)]
        found += [traced("waits", 0.0, seed), traced("waits", AWAY_S, seed, wall=6.0, busy=0.17)]
        for race in RACES:
            found.append(traced(race.name, NEAR.rtt_s, seed, wall_s=20.0))
            found.append(traced(race.name, FAR.rtt_s, seed, wall_s=slow_s))
    return found


def test_the_middle_seed_decides_and_its_range_is_told() -> None:
    rows = {row.name: row for row in summed(runs((1.1, 1.2, 2.0), (30.0, 21.0, 18.0)), SIZE)}
    far = rows["overlap, 2.5s,2mbit: wall / computing"]
    assert (far.value, far.met) == (1.2, True)
    assert far.reference.endswith("3 seeds: 1.1 to 2")
    ratio = rows["accuracy of watch, 0.8: 600 ms against 0 ms"]
    assert (ratio.value, ratio.met) == (pytest.approx(1.05), True)
    assert rows["waits, 2.5s,2mbit: wall / computing"].met is None


def test_an_accuracy_on_the_way_is_reached_by_two_evaluations_in_a_row() -> None:
    rows = {row.name: row for row in summed(runs((1.1, 1.2, 2.0), (30.0, 21.0, 18.0)), SIZE)}
    assert rows["accuracy of watch, 0.7: 0 ms"].value == 3.0
    assert rows["accuracy of watch, 0.75: 0 ms"].value == 5.0
    assert rows["accuracy of watch, 0.75: 600 ms against 0 ms"].met is None


def test_a_missed_bar_is_on_the_page(tmp_path: Path) -> None:
    found = runs((1.4, 1.4, 1.2), (23.0, 23.0, 20.0))
    write(Measured(found, summed(found, SIZE), 0.5), tmp_path, "thinwire bench overlap")
    page = (tmp_path / "overlap.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if "missed" in line]
    assert [line.split("|")[1].strip() for line in lines] == [
        "overlap, 2.5s,2mbit: wall / computing", "accuracy of mnist, 0.96: 600 ms against 0 ms",
        "accuracy of watch, 0.8: 600 ms against 0 ms",
    ]  # fmt: skip
    for picture in ("overlap-commits.svg", "overlap-mnist.svg", "overlap-watch.svg"):
        assert picture in page
        assert (tmp_path / picture).read_bytes().startswith(b"<?xml")


def test_a_benchmark_that_was_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained, stops_at = list[Plan](), [3]

    def train(plan: Plan) -> Traced:
        if len(trained) in stops_at:
            stops_at.clear()
            raise KeyboardInterrupt
        trained.append(plan)
        return traced(plan.what, plan.link.rtt_s, plan.seed)

    monkeypatch.setattr(overlap, "train", train)
    monkeypatch.setattr(overlap, "find", lambda name: None)
    with pytest.raises(KeyboardInterrupt):
        run(True, tmp_path)
    trained.clear()
    found = run(True, tmp_path)
    assert [(plan.what, plan.link.rtt_s) for plan in trained] == [
        ("waits", AWAY_S), (DIGITS.name, 0.0), (DIGITS.name, FAR.rtt_s), (WATCHES.name, 0.0), (WATCHES.name, FAR.rtt_s),
    ]  # fmt: skip
    assert run(True, tmp_path).runs == found.runs
    assert len(trained) == 5
