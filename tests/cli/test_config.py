"""`thinwire config` shows settings that work and names everything that does not."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from thinwire.cli.main import main
from thinwire.common.settings import AgentSettings, CoordinatorSettings, loads


def thinwire(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fleet.toml"


def test_what_is_shown_is_a_settings_file() -> None:
    assert loads(thinwire("config", "show", "coordinator").stdout, CoordinatorSettings) == CoordinatorSettings()
    assert loads(thinwire("config", "show", "agent").stdout, AgentSettings).device.name == "my-device"


def test_a_file_and_sets_are_shown_as_they_take_effect(file: Path) -> None:
    file.write_text("[density]\nup = 0.2\ndown = 0.3\n")
    result = thinwire("config", "show", "coordinator", "-c", str(file), "--set", "density.down=0.4")
    density = loads(result.stdout, CoordinatorSettings).density
    assert (density.up, density.down) == (0.2, 0.4)


@pytest.mark.parametrize(
    ("content", "role"),
    [
        ("[density]\nup = 0.2", "coordinator"), ("# mine\n [device]\nname = 'a'", "agent"), ("", "coordinator"),
        ("[[fleet]]\ndevices = 3", "a simulation of 3 devices"),
    ],
)
def test_a_right_file_is_right_for_whom_it_looks_like(file: Path, content: str, role: str) -> None:
    file.write_text(content)
    result = thinwire("config", "check", str(file))
    assert result.exit_code == 0
    assert role in result.stdout


def test_a_wrong_file_is_exit_code_3_with_a_line_for_each_problem_on_stderr(file: Path) -> None:
    file.write_text("[density]\nup = 2\nvalue = 'fp16'\n")
    result = thinwire("config", "check", str(file))
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"error: {file}: density.value is no key; did you mean density.values?",
        f"error: {file}: density.up is 2; it must be a number, above 0 and at most 1",
    ]


def test_a_file_that_is_not_there_is_a_wrong_setting(file: Path) -> None:
    assert thinwire("config", "check", str(file)).exit_code == 3
    assert thinwire("coordinator", "--config", str(file)).exit_code == 3
    assert thinwire("agent", "--config", str(file)).exit_code == 3


def test_short_options_are_settings_and_checked_like_them() -> None:
    result = thinwire("agent", "--name", "Pi 4")
    assert result.exit_code == 3
    assert 'device.name is "Pi 4"' in result.stderr
    result = thinwire("coordinator", "--listen", "0.0.0.0:8470")
    assert result.exit_code == 3
    assert "listen.insecure" in result.stderr


def test_a_wrong_command_line_is_exit_code_2() -> None:
    assert thinwire("config", "show", "nobody").exit_code == 2
    assert thinwire("nothing").exit_code == 2
    assert thinwire("demo", "--link", "fast").exit_code == 2
    assert thinwire("status", "--ca", "ca.pem").exit_code == 2
