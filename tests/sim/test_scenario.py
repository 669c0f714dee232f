"""A scenario file: one schema with the coordinator's, problems told with what was meant, a fleet from a seed."""

import random
from pathlib import Path

import pytest

from thinwire.common.errors import SettingsError, TaskError
from thinwire.common.link import Lane, LinkProfile
from thinwire.sim.fleet import fleet_of
from thinwire.sim.lessons import lesson_of
from thinwire.sim.loss import LossyLane
from thinwire.sim.scaled import scaled
from thinwire.sim.settings import Group, load_scenario, read_scenario

EXAMPLES = Path(__file__).parents[2] / "examples" / "scenarios"
FLEET = "[[fleet]]\ndevices = 3\n"


@pytest.mark.parametrize(("text", "problem"), [
    ("", "fleet is missing"),
    ("[[flet]]\ndevices = 3\n", "flet is no section of a scenario; did you mean fleet?"),
    ("[listen]\n" + FLEET, "listen is no section of a scenario"),
    (FLEET + "linc = '1s,1mbit'\n", "fleet[0].linc is no key; did you mean fleet[0].link?"),
    (FLEET + "link = 'fast'\n", 'fleet[0].link is "fast"; it must be a link as RTT,RATE[,JITTER]'),
    (FLEET + "[[fleet]]\ndevices = 1\n", "each needs a name of its own"),
    (FLEET + "[trainning]\nlocal_steps = 3\n", "did you mean training?"),
    (FLEET + "[training]\nlocal_steps = 0\n", "training.local_steps is 0"),
    (FLEET + "[methods.a]\ndensity.upp = 1\n", "methods.a.density.upp is no key; did you mean methods.a.density.up?"),
    (FLEET + "[methods.a]\ndensitty.up = 1\n", "did you mean methods.a.density?"),
    (FLEET + "[simulation]\nseeds = [1, 1]\n", "each once"),
    (FLEET + "[simulation]\nseeds = 'many'\n", "simulation.seeds is \"many\"; it must be a list of a whole number"),
    (FLEET + "[methods]\na = 3\n", "sections [methods.NAME]"),
    ("fleet = []", "fleet is missing; write [[fleet]] and devices = 10 below it"),
    (FLEET + "[methods.\"../evil\"]\n", 'methods."../evil" is no name for a method'),
    (FLEET + "[methods.\".hidden\"]\n", "no dot in front"),
    (FLEET + "loss = 0.5\n", 'loss is 0.5 in the group "devices"; it must be at most 0.1'),
    (FLEET + "link = 'none'\nrate_down = '1mbit'\n", 'rate_down is set in the group "devices", whose link is "none"'),
    (FLEET + "link = 'none'\nloss = 0.01\n", "which takes no time and loses nothing"),
    (FLEET + "[aggregation]\nmin_devices = 4\n", "min_devices is 4, but in [[fleet]] there are 3 devices"),
    (FLEET + "[methods.a]\naggregation.min_devices = 4\n", "methods.a.aggregation.min_devices is 4"),
    (FLEET + "[task]\nid = 'quadratc'\n", 'task.id is "quadratc", which is no task; did you mean quadratic?'),
    (FLEET + "[state]\ndir = 'here'\n", "state is no section of a scenario: none of it is simulated"),
    (FLEET + "[limits]\nmax_devices = 2\n", "limits.max_devices is not simulated"),
    (FLEET + "[methods.a]\nevaluation.python = 'x'\n", "methods.a.evaluation.python is not simulated"),
])  # fmt: skip
def test_what_is_wrong_is_told_with_what_was_meant(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_scenario(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(("change", "problem"), [
    ("methods.fedvag.density.up=0.5", "methods.fedvag is no method of this file; did you mean fedavg?"),
    ("fleet.devices=30", "there may be several [[fleet]]; --devices makes the whole fleet smaller"),
])  # fmt: skip
def test_what_cannot_be_set_is_told_with_what_can(change: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_scenario(FLEET + "[methods.fedavg]\n", (change,))
    assert problem in str(caught.value)


def test_a_method_is_the_shared_settings_with_its_own_on_top() -> None:
    text = FLEET + "[density]\nup = 0.2\ndown = 0.3\n[methods.a]\n[methods.b]\ndensity.up = 1.0\n"
    scenario = read_scenario(text, ("density.down=0.4",))
    densities = {name: (m.density.up, m.density.down) for name, m in scenario.methods.items()}
    assert densities == {"a": (0.2, 0.4), "b": (1.0, 0.4)}


def test_without_methods_there_is_one() -> None:
    assert list(read_scenario(FLEET).methods) == ["all"]


def test_a_method_s_task_brings_its_own_parameters() -> None:
    text = FLEET + "[task]\nid = 'mnist'\nparams = { alpha = 0.1 }\n[methods.w.task]\nid = 'watch'\nparams = {}\n"
    assert read_scenario(text).methods["w"].task.params == {}


def test_a_seed_draws_one_fleet() -> None:
    group = Group(
        devices=20, step_spread=0.5, outage_every=60.0, nap_every=200.0, available=0.5, day=100.0, zones=1.0,
        join_within=9.0,
    )  # fmt: skip
    assert fleet_of([group], 1, 500.0) == fleet_of([group], 1, 500.0)
    assert fleet_of([group], 1, 500.0) != fleet_of([group], 2, 500.0)


def test_a_device_is_here_for_its_share_of_each_day() -> None:
    group = Group(devices=50, available=0.4, day=100.0, zones=1.0)
    fleet = fleet_of([group], 3, 1000.0)
    away_s = sum(min(nap.for_s, 1000.0 - nap.at) for nap in fleet.naps)
    assert away_s / (50 * 1000.0) == pytest.approx(0.6, abs=0.01)


def test_devices_of_one_zone_are_away_together() -> None:
    fleet = fleet_of([Group(devices=5, available=0.5, day=100.0)], 3, 1000.0)
    assert {nap.at for nap in fleet.naps} == {50.0 + 100.0 * day for day in range(10)}


def test_outages_take_their_share_of_the_time() -> None:
    fleet = fleet_of([Group(devices=200, outage_every=90.0, outage_for=10.0)], 3, 2000.0)
    assert sum(cut.for_s for cut in fleet.breaks) / (200 * 2000.0) == pytest.approx(0.1, abs=0.01)


def test_a_lossy_line_is_slower_and_later_but_in_order() -> None:
    profile, dice = LinkProfile(0.2, 10e6), random.Random(1)
    clean, lossy = Lane(profile), LossyLane(profile, 0.01)
    arrivals = [(clean.send(50_000, 10.0 * n, dice), lossy.send(50_000, 10.0 * n, dice)) for n in range(300)]
    assert all(late > early for early, late in arrivals)
    # 50 kB at Mathis' limit of 0.72 Mbit/s, and a third of the words wait for a packet that is sent again.
    mean_s = sum(late - 10.0 * n for n, (_, late) in enumerate(arrivals)) / 300
    assert 0.65 < mean_s < 0.85
    assert [late for _, late in arrivals] == sorted(late for _, late in arrivals)


def test_a_scenario_can_be_tried_on_a_small_fleet() -> None:
    whole = load_scenario(EXAMPLES / "thousand.toml")
    small = scaled(whole, 31)
    assert [group.devices for group in small.fleet] == [16, 12, 3]
    assert small.name == "thousand-31"
    for name, settings in small.methods.items():
        assert settings.aggregation.min_devices <= 31
        assert settings.aggregation.buffer <= whole.methods[name].aggregation.buffer
    assert [group.devices for group in scaled(whole, 1000).fleet] == [group.devices for group in whole.fleet]
    with pytest.raises(SettingsError, match="each of the scenario's 3 groups keeps one"):
        scaled(whole, 2)


@pytest.mark.parametrize("devices", [7, 14, 28, 55, 56])
def test_a_small_fleet_waits_for_no_device_that_it_does_not_have(devices: int) -> None:
    text = "[[fleet]]\ndevices = 100\n[aggregation]\nmin_devices = 100\nbuffer = 200\n"
    aggregation = scaled(read_scenario(text), devices).methods["all"].aggregation
    assert (aggregation.min_devices, aggregation.buffer) == (devices, 2 * devices)


@pytest.mark.parametrize(("params", "problem"), [
    ("spread = 'abc'", 'spread is "abc"; it must be a number, 0 or more'),
    ("condition = 0.5", "condition is 0.5; it must be a number, 1 or more"),
    ("size = 1.5", "size is 1.5; it must be a whole number from 1 to 10000000"),
    ("size = 10000000", "30000 devices with a model of 10000000 parameters take 5.5 TiB of memory or more"),
])  # fmt: skip
def test_a_bowl_that_cannot_be_is_refused(params: str, problem: str) -> None:
    settings = read_scenario(FLEET + f"[task]\nid = 'quadratic'\nparams = {{ {params} }}\n").methods["all"]
    with pytest.raises(TaskError) as caught:
        lesson_of(settings, 30_000, 1)
    assert problem in str(caught.value)


def test_an_unknown_parameter_of_the_bowl_is_refused() -> None:
    settings = read_scenario(FLEET + "[task]\nid = 'quadratic'\nparams = { siz = 3 }\n").methods["all"]
    with pytest.raises(TaskError, match="no parameter 'siz'"):
        lesson_of(settings, 3, 1)


def test_an_algorithm_of_a_method_stands_above_what_is_shared_and_below_the_methods_own() -> None:
    text = FLEET + '[density]\nup = 0.2\ndown = 0.3\n[methods.a]\ntraining.algorithm = "fedavg"\ndensity.down = 0.5\n'
    density = read_scenario(text).methods["a"].density
    assert (density.up, density.down) == (1.0, 0.5)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_right(path: Path) -> None:
    assert load_scenario(path).devices >= 10


def test_an_algorithm_is_a_method_by_its_name() -> None:
    settings = load_scenario(EXAMPLES / "watch.toml").methods["fedavg"]
    assert (settings.aggregation.mode, settings.density.up, settings.training.overlap) == ("sync", 1.0, False)
