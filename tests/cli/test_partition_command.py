"""`thinwire partition` shows a cut to people and to programs."""

import json

from click.testing import CliRunner

from thinwire.cli.main import main
from thinwire.common.exits import Exit


def test_every_device_has_its_row_and_the_fleet_its_summary() -> None:
    result = CliRunner().invoke(main, ["partition", "watch", "--scheme", "natural"])
    lines = result.stdout.splitlines()
    assert " ".join(lines[0].split()) == "device examples entropy distance PEN ABD FEL IR ER TRAP ROW"
    assert [line.split()[0] for line in lines[1:11]] == [str(device) for device in range(10)]
    assert "3918 on 10 devices" in result.stdout


def test_json_has_all_devices_however_many() -> None:
    command = ["partition", "watch", "--scheme", "quantity", "--devices", "200", "--alpha", "0.3", "--json"]
    found = json.loads(CliRunner().invoke(main, command).stdout)
    assert found["schema"] == "thinwire.partition/v1"
    assert sum(device["examples"] for device in found["devices"]) == found["summary"]["examples"] == 3918
    assert len(found["devices"]) == 200


def test_an_impossible_alpha_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["partition", "watch", "--alpha", "0"])
    assert result.exit_code == Exit.USAGE
    assert "alpha is 0.0" in result.stderr


def test_too_many_devices_are_told() -> None:
    result = CliRunner().invoke(main, ["partition", "watch", "--scheme", "natural", "--devices", "11"])
    assert result.exit_code == Exit.TRAINING
    assert "there must be 1 to 10" in result.stderr
