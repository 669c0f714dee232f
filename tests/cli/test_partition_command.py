"""`thinwire partition` shows a cut to people and to programs."""

import json

import pytest
from click.testing import CliRunner

from thinwire.cli.main import main
from thinwire.common.exits import Exit
from thinwire.tasks import DeviceInfo, load_task


def test_every_device_has_its_row_and_the_fleet_its_summary() -> None:
    result = CliRunner().invoke(main, ["partition", "watch"])
    lines = result.stdout.splitlines()
    assert " ".join(lines[0].split()) == "device examples entropy distance PEN ABD FEL IR ER TRAP ROW"
    assert [line.split()[0] for line in lines[1:11]] == [str(device) for device in range(10)]
    assert "3918 on 10 devices" in result.stdout
    assert "scheme    natural" in result.stdout  # the task's own way


def test_json_has_all_devices_however_many() -> None:
    command = ["partition", "watch", "--scheme", "quantity", "--devices", "200", "--alpha", "0.3", "--json"]
    found = json.loads(CliRunner().invoke(main, command).stdout)
    assert found["schema"] == "thinwire.partition/v1"
    assert sum(device["examples"] for device in found["devices"]) == found["summary"]["examples"] == 3918
    assert len(found["devices"]) == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("watch --scheme dirichlet --alpha 0", "alpha is 0.0"),
        ("watch --scheme iid --alpha 3", "--alpha is for --scheme dirichlet and quantity; this one is iid"),
        ("watch --per-device 3", "--per-device is for --scheme classes; this one is natural"),
        ("watch --scheme natural --seed 3", "--seed is for --scheme iid, dirichlet, classes and quantity; this one is"),
        ("watch --scheme classes --per-device 9", "per_device is 9; with 7 classes it must be 1 to 7"),
        ("omniglot --scheme classes --per-device 3 --devices 5", "so it must be 49 or more"),
        ("omniglot --devices 161", "there must be 1 to 160"),
    ],
)
def test_a_cut_that_cannot_be_is_a_usage_error(arguments: str, said: str) -> None:
    result = CliRunner().invoke(main, ["partition", *arguments.split()])
    assert result.exit_code == Exit.USAGE
    assert said in result.stderr


@pytest.mark.parametrize("devices", [4, 23])
def test_what_is_told_of_people_is_what_the_task_gives_its_devices(devices: int) -> None:
    result = CliRunner().invoke(main, ["partition", "watch", "--devices", str(devices), "--json"])
    told = [device["examples"] for device in json.loads(result.stdout)["devices"]]
    task = load_task("watch")
    assert told == [task.examples(DeviceInfo("watch", shard, devices, seed=1)) for shard in range(devices)]


def test_many_classes_are_told_by_their_number() -> None:
    lines = CliRunner().invoke(main, ["partition", "omniglot", "--devices", "20"]).stdout.splitlines()
    assert lines[0].split() == ["device", "examples", "entropy", "distance"]
    assert "193.6 of 242 a device; --json has the examples of each" in "\n".join(lines)
