"""Help is instant on a small board: it imports nothing heavy, whatever command it is about."""

import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from thinwire.cli.main import main
from thinwire.common.exits import MEANING, Exit

COMMANDS = [
    (), ("demo",), ("coordinator",), ("agent",), ("status",), ("devices",), ("config",), ("config", "show"),
    ("config", "check"), ("journal",), ("journal", "verify"), ("journal", "replay"), ("rollback",),
    ("data",), ("link",), ("bench",), ("bench", "codec"), ("chaos",), ("chaos", "simulate"), ("chaos", "soak"),
]  # fmt: skip
HEAVY = {"torch", "grpc", "numpy", "rich", "msgspec", "google.protobuf", "asyncio", "zstandard", "PIL"}
IMPORTED = """
import sys
from thinwire.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print("IMPORTED", *sys.modules)
"""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example_or_a_list_of_commands(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert "thinwire " in result.output or "Commands:" in result.output


def test_every_command_is_in_the_help_with_what_it_is_for() -> None:
    output = CliRunner().invoke(main, ["--help"]).output
    for name, *_ in filter(None, COMMANDS):
        assert f"\n  {name} " in output


def test_the_help_has_every_exit_code() -> None:
    output = CliRunner().invoke(main, ["--help"]).output
    for code in Exit:
        assert f"\n  {code:<3d}  " in output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_imports_nothing_heavy(command: tuple[str, ...]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", IMPORTED, *command, "--help"], capture_output=True, text=True, check=True
    )
    imported = set(run.stdout.partition("IMPORTED")[2].split())
    assert "thinwire.cli.main" in imported
    assert not imported & HEAVY


def test_help_costs_at_most_150_ms_of_a_processor() -> None:
    """Five times that here: the machine that runs the tests may be slow, or busy with other things."""
    assert min(cpu_s("-m", "thinwire.cli", "--help") for _ in range(5)) < 0.75


def cpu_s(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_the_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.output.startswith("thinwire 0.")


def test_the_manual_has_every_exit_code_and_command() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    for code in Exit:
        assert f"| {code:d} | {MEANING[code]} |" in manual
    for name in main.list_commands(click.Context(main)):
        assert f"    thinwire {name} " in manual
