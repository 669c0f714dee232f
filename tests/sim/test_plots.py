"""Pictures are drawn from histories alone, and the same histories give the same bytes."""

import re

import numpy as np
import pytest
from msgspec import structs

from thinwire.common.history import End, Header, History, Row
from thinwire.sim.grouping import grouped
from thinwire.sim.plots import MORE_PICTURES, PICTURES, band, by_group, draw, slots

pytest.importorskip("matplotlib")


def history(method: str, seed: int) -> History:
    rows = tuple(
        Row(
            time_s=2.0 * n + seed, version=n, bytes_up=n << 20, bytes_down=n << 20, deltas=1, overlap=0.5,
            density={"near": 0.1}, metrics={"accuracy": 1 - 0.9**n} if n % 2 else {},
        )
        for n in range(1, 20)
    )  # fmt: skip
    return History(Header(method=method, seed=seed, target_accuracy=0.8), rows, End(reason="done", time_s=40.0))


RUNS = [history(method, seed) for method in ("ours", "fedavg") for seed in (1, 2)]


@pytest.mark.parametrize("picture", [*PICTURES, *MORE_PICTURES], ids=lambda picture: picture.name)
def test_a_picture_names_its_methods_and_repeats(picture: object) -> None:
    svg = draw(picture, RUNS, "svg")  # type: ignore[arg-type]
    assert b"ours (2 seeds)" in svg
    assert b"fedavg (2 seeds)" in svg
    assert svg == draw(picture, RUNS, "svg")  # type: ignore[arg-type]


def test_a_line_ends_with_a_mark_which_is_all_of_a_run_of_one_version() -> None:
    short, whole = History(RUNS[0].header, RUNS[0].rows[:1], None), RUNS[0]

    def line_of(run: History) -> str:
        shape = draw(PICTURES[0], [run], "svg").decode().split('<g id="accuracy-time--m0">')[1]
        return shape[: shape.index("</g>\n   <g id=")]

    assert [line_of(run).count("<use") for run in (short, whole)] == [1, 1]


def test_a_method_has_its_scenario_s_colour_alone_as_with_others() -> None:
    listed = [
        History(structs.replace(run.header, methods=("fedavg", "other", "ours")), run.rows, run.end) for run in RUNS
    ]
    assert slots(grouped(listed)) == [2, 0]
    assert slots(grouped(listed[:2])) == [2]
    # Two of one name cannot both have its place, and who is listed nowhere comes last.
    changed = History(structs.replace(listed[0].header, settings="[density]\nup = 0.3\n"), listed[0].rows, None)
    assert slots(grouped([listed[0], changed, history("unknown", 1)])) == [2, 3, 4]
    assert slots(grouped(RUNS)) == [0, 1]


def test_names_stand_below_the_axes_and_are_found_by_their_method() -> None:
    svg = draw(PICTURES[0], RUNS, "svg").decode()
    for place in (0, 1):
        assert f'"legend-line-accuracy-time--m{place}"' in svg
        assert f'"legend-text-accuracy-time--m{place}"' in svg
    heights = [draw(PICTURES[0], [history(f"method {n}", 1) for n in range(few)], "svg")[:400] for few in (2, 20)]
    low, high = (float(re.findall(rb'height="([\d.]+)pt"', head)[0]) for head in heights)
    assert low < high


def test_densities_are_drawn_by_group() -> None:
    assert b">near<" in by_group(RUNS[0], "svg")


def test_a_png_is_a_png() -> None:
    assert draw(PICTURES[0], RUNS, "png").startswith(b"\x89PNG")


def test_a_band_ends_where_the_first_seed_ends() -> None:
    x_N, low_N, mean_N, high_N = band([
        (np.array([0.0, 10.0]), np.array([0.0, 1.0])), (np.array([2.0, 6.0]), np.array([0.4, 0.8])),
    ])  # fmt: skip
    assert (x_N[0], x_N[-1]) == (2.0, 6.0)
    assert (low_N[0], mean_N[0], high_N[0]) == pytest.approx((0.2, 0.3, 0.4))
