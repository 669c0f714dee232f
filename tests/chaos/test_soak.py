"""A real fleet in namespaces is killed for a minute, and nothing is lost or counted twice."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from thinwire.chaos import namespaces

REASON = namespaces.why_not()


def soak(folder: Path, *options: str) -> dict[str, Any]:
    """Run a soak; give its report, or fail with its words."""
    command = [sys.executable, "-m", "thinwire.cli", "chaos", "soak", "--json", "--keep", str(folder), *options]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert isinstance(report, dict)
    return report


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.skipif(bool(REASON), reason=f"no soak: {REASON}")
def test_a_fleet_that_is_killed_for_a_minute_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    report = soak(tmp_path, "--minutes", "1", "--seed", "3")
    assert report["violations"] == []
    assert report["kills"] >= 3
    assert report["kills_coordinator"] >= 1
    assert report["sealed"] >= 20
    assert report["folded"] >= 20
