"""Runs are seeds of one another when nothing but the seed differs; a change of settings is never taken for noise."""

import json

from thinwire.common.history import End, Header, History, Row
from thinwire.sim.compare import cells_of
from thinwire.sim.grouping import grouped
from thinwire.sim.outcome import summary
from thinwire.sim.settings import read_scenario


def run(
    seed: int = 1, *, scenario: str = "small", devices: int = 3, settings: str = "[density]\nup = 0.1\n",
    versions: dict[str, str] | None = None, code: str = "", accuracy: float = 0.5,
) -> History:  # fmt: skip
    fleet = json.dumps([{"until": 60.0}, {"name": "devices", "devices": devices}])
    header = Header(
        method="ours", seed=seed, scenario=scenario, settings=settings, fleet=fleet, devices=devices,
        versions=versions or {}, code=code,
    )  # fmt: skip
    rows = (Row(time_s=1.0, version=1, bytes_up=1, bytes_down=1, metrics={"accuracy": accuracy}),)
    return History(header, rows, End(reason="", time_s=1.0))


def labels(*histories: History) -> list[tuple[str, list[int]]]:
    return [(runs.label, [history.header.seed for history in runs.histories]) for runs in grouped(histories)]


def test_seeds_are_one_group_and_a_copy_counts_once() -> None:
    assert labels(run(2), run(1), run(1)) == [("ours", [1, 2])]
    assert summary([run(1), run(1)])[0]["seeds"] == "1"


def test_other_settings_are_another_line_that_says_what_differs() -> None:
    found = labels(run(1), run(2, settings="[density]\nup = 0.3\n"))
    assert found == [("ours (density.up=0.1)", [1]), ("ours (density.up=0.3)", [2])]


def test_another_numpy_is_another_line_but_not_another_library_that_does_not_compute() -> None:
    old, new = {"numpy": "1.26", "zstandard": "0.24"}, {"numpy": "2.4", "zstandard": "0.24"}
    packs = new | {"zstandard": "0.25"}
    assert labels(run(1, versions=old), run(1, versions=new), run(2, versions=packs)) == [
        ("ours (numpy=1.26)", [1]), ("ours (numpy=2.4)", [1, 2]),
    ]  # fmt: skip


def test_other_code_of_a_task_is_another_line() -> None:
    assert labels(run(1, code="a" * 64), run(1, code="b" * 64)) == [
        ("ours (code=aaaaaaaaaaaa)", [1]), ("ours (code=bbbbbbbbbbbb)", [1]),
    ]  # fmt: skip


def test_a_seed_that_came_out_otherwise_for_no_known_reason_is_no_further_seed() -> None:
    assert labels(run(1), run(2), run(1, accuracy=0.6), run(2)) == [
        ("ours (repeat=1)", [1, 2]), ("ours (repeat=2)", [1]),
    ]  # fmt: skip


def test_another_fleet_is_another_line() -> None:
    assert labels(run(1), run(1, devices=9)) == [
        ("ours (fleet.devices.devices=3)", [1]), ("ours (fleet.devices.devices=9)", [1]),
    ]  # fmt: skip


def test_methods_of_two_scenarios_are_called_by_both_names() -> None:
    assert labels(run(1), run(1, scenario="large", devices=9)) == [("small/ours", [1]), ("large/ours", [1])]


def test_the_file_s_own_seed_and_folders_of_a_real_run_part_nothing() -> None:
    ours = "[task]\nseed = {}\n[state]\ndir = '/runs/{}'\n"
    assert labels(run(1, settings=ours.format(1, "a")), run(2, settings=ours.format(2, "b"))) == [("ours", [1, 2])]


def test_many_differences_are_cut_short_in_the_label_but_all_kept() -> None:
    def settings(value: int) -> str:
        return "[training]\n" + "".join(f"key{place} = {value}\n" for place in range(5))

    first, _ = grouped([run(settings=settings(1)), run(settings=settings(2))])
    assert first.label == "ours (training.key0=1, training.key1=1, training.key2=1, …)"
    assert len(first.differs) == 5


def test_a_cell_that_is_asked_for_twice_is_one() -> None:
    scenario = read_scenario("[[fleet]]\ndevices = 3\n[methods.a]\n")
    assert [(cell.method, cell.seed) for cell in cells_of(scenario, ("a", "a"), (1, 1, 2))] == [("a", 1), ("a", 2)]
