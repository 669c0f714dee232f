"""What `thinwire chaos` says when it cannot do what it is asked."""

import pytest
from click.testing import CliRunner

from thinwire.chaos import namespaces
from thinwire.cli.main import main
from thinwire.common.exits import Exit


def test_a_line_that_nobody_knows_is_refused_with_those_there_are() -> None:
    result = CliRunner().invoke(main, ["chaos", "soak", "--lines", "pigeon"])
    assert result.exit_code == Exit.USAGE
    assert '"pigeon" is no line; known are wifi' in result.output


def test_a_machine_without_namespaces_is_told_of_and_of_the_way_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "why_not", lambda: "Operation not permitted; run it as root")
    result = CliRunner().invoke(main, ["chaos", "soak"])
    assert result.exit_code == Exit.SETTINGS
    refusal = "error: --network namespaces is not possible here: Operation not permitted; run it as root\n"
    assert refusal in result.output
    assert "--network loopback needs nothing" in result.output


def test_a_tool_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert namespaces.why_not() == "ip and nsenter and unshare not found; install iproute2 and util-linux"
